"""Expiry: options end at their moment, are settled at the index's average, and their positions are exercised or gone.

Every step is one transaction that finds by itself what is left to do: any number of processes may run this at once, be
killed in it, or begin hours late. What the record of the index lacks is a person's to enter (`index_entries`). While a
person has stopped all of a coin its positions wait: its index may be what is wrong.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from counter.expiring.exercising import CHUNK_POSITIONS, exercisable, exercise_apart, open_positions
from counter.expiring.settlement_index import settle_at_average
from counter.models import Expiry, Option
from counter.orders import outbox
from counter.orders.requests import Order
from counter.trading.series import move_options
from counter.trading.switches import coins_stopped
from infra.coordination.leader import exclusive
from infra.db.arrays import array
from infra.db.lifecycles import moves
from infra.db.rows import reader, rows_of
from infra.observability import correlation

log = structlog.get_logger(__name__)

BY = "expiry"
# No order is decided for so long: what was read as living has by then been committed, and is found.
SETTLED_AFTER = timedelta(minutes=1)
READ_POSITIONS = 20_000
# The desk stores a message at once: the fewer there are, the fewer venue orders. One of 5,000 orders has 2 MB, and what
# waits for longer than a second the desk pulls by itself, a thousand at a time.
TOLD_IN_ONE_MESSAGE = 5000
TOLD_AFTER_SECONDS = 0.7
UNFINISHED_OPTIONS = """
    SELECT DISTINCT option_id FROM (
        SELECT option_id FROM counter_position WHERE option_id = ANY(%(ids)s::bigint[]) AND state = 'OPEN'
        UNION ALL
        SELECT option_id FROM counter_syncorder WHERE state = 'PENDING' AND option_id = ANY(%(ids)s::bigint[])
        UNION ALL
        SELECT option_id FROM counter_syncorder WHERE state = 'SYNCED' AND option_id = ANY(%(ids)s::bigint[])
    ) AS unfinished
"""
# Whether `expire_due` would find anything at all: most sweeps find nothing, and there are thousands of them a day.
ANYTHING = """
    SELECT EXISTS (SELECT FROM counter_expiry WHERE NOT state = 'SETTLED')
        OR EXISTS (SELECT FROM counter_option
            WHERE NOT state = 'SETTLED' AND state IN ('LISTED', 'HALTED') AND expires_at <= %s)
        OR EXISTS (SELECT FROM counter_option
            WHERE NOT state = 'SETTLED' AND state = 'EXPIRED' AND expires_at <= %s)
"""


def sweep(*, now: datetime) -> None:
    """`expire_due` where there is anything to do, unless another process holds the lock.

    Raises: database errors.
    """
    [(is_anything,)] = rows_of("default", ANYTHING, [now, now - SETTLED_AFTER])
    if not is_anything:
        return
    with exclusive("expire", using="default") as alone:
        if alone:
            expire_due(now=now)


def expire_due(*, now: datetime) -> int:
    """Take every option that is due at `now` as far as it goes; how many positions were at their end.

    Raises: database errors; what was committed before stays, and the next run goes on from there.
    """
    _take(now)
    recorded_by = now - timedelta(seconds=settings.EXPIRY_GRACE_SECONDS)
    waiting = _unsettled().filter(state=Expiry.State.WAITING, why="", expires_at__lte=recorded_by)
    for expiry in waiting.exclude(underlying__in=coins_stopped()):
        settle_at_average(expiry_id=expiry.pk, now=now)
    exercising = _unsettled().filter(state=Expiry.State.EXERCISING)
    moments = sorted(set(exercising.values_list("expires_at", flat=True)))
    ended = sum(_exercise(moment, now) for moment in moments)
    _settle(now)
    return ended


def _unsettled() -> QuerySet[Expiry]:
    return Expiry.objects.exclude(state=Expiry.State.SETTLED).order_by("expires_at", "id")


@moves(Option.expire)
def _take(now: datetime) -> None:
    """End the trading of what is due. Orders are refused from the moment itself on, whether this has run or not."""
    due = Option.objects.filter(expires_at__lte=now)
    if not due.filter(state__in=[Option.State.LISTED, Option.State.HALTED]).exists():
        return
    with transaction.atomic():
        taken = move_options(due, Option.expire, by=BY, why="", now=now)
        ends = sorted({(option.expires_at, option.underlying) for option in taken})
        Expiry.objects.bulk_create(
            [
                Expiry(underlying=underlying, expires_at=expires_at, taken_at=now)
                for expires_at, underlying in ends
            ],
            ignore_conflicts=True,
        )
    log.info("options expired", options=len(taken), expiries=len(ends))


def _exercise(expires_at: datetime, now: datetime) -> int:
    """End the open positions of a moment, and tell the desk of many together; how many there were."""
    started = told_at = time.monotonic()
    untold: list[Order] = []
    found = after_id = 0
    try:
        # A coin that is stopped meanwhile has no options the next time; what could not be ended is passed by.
        while positions := open_positions(
            list(options := exercisable(expires_at)), after_id=after_id, limit=READ_POSITIONS
        ):
            for first in range(0, len(positions), CHUNK_POSITIONS):
                untold += exercise_apart(
                    chunk=positions[first : first + CHUNK_POSITIONS],
                    options=options,
                    expires_at=expires_at,
                    now=now + timedelta(seconds=time.monotonic() - started),
                )
                if len(untold) >= TOLD_IN_ONE_MESSAGE or time.monotonic() - told_at > TOLD_AFTER_SECONDS:
                    _tell(untold)
                    untold, told_at = [], time.monotonic()
            found += len(positions)
            after_id, _ = positions[-1]
    finally:
        _tell(untold)
    if found:
        log.info("positions ended", expires_at=expires_at.isoformat(), positions=found)
    return found


def _tell(orders: Sequence[Order]) -> None:
    if orders:
        log.info("positions exercised", orders=correlation.runs(order.id for order in orders))
        outbox.publish(orders)


@moves(Option.settle)
@moves(Expiry.settle)
def _settle(now: datetime) -> None:
    """Settle options whose positions have all ended and whose orders are all settled, then expiries of such options."""
    expired = Option.objects.filter(state=Option.State.EXPIRED, expires_at__lte=now - SETTLED_AFTER)
    ids = list(expired.values_list("id", flat=True))
    finished = set(ids) - _unfinished(ids)
    with transaction.atomic():
        if finished:
            move_options(expired.filter(id__in=finished), Option.settle, by=BY, why="", now=now)
        going_on = Option.objects.filter(
            underlying=OuterRef("underlying"), expires_at=OuterRef("expires_at"), state=Option.State.EXPIRED
        )
        for done in _unsettled().filter(~Exists(going_on)).select_for_update(of=("self",)):
            done.settle(at=now)
            done.save(update_fields=["state", "settled_at"])


def _unfinished(option_ids: Sequence[int]) -> set[int]:
    """Those that have an open position or an order that is not settled."""
    if not option_ids:
        return set()
    with reader("default") as cursor:
        cursor.execute(UNFINISHED_OPTIONS, {"ids": array(option_ids)})
        return {option_id for (option_id,) in cursor.fetchall()}
