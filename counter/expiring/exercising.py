"""Exercising: positions of expired options end in chunks, in the order of their ids, each chunk in one transaction.

Guards the customer's money as placing orders does: the account is locked before its positions are read, so a close and
the expiry are decided one after the other. The moment's expiries are locked before that: of many processes one pays at
a time, and what may be paid at once is not exceeded.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from django.db.models import F

from counter import events
from counter.expiring.exercise_batch import ExerciseBatch, ExpiredOption
from counter.models import Expiry, Option, Position
from counter.orders import sql as order_sql
from counter.orders import writing
from counter.orders.requests import Order
from counter.orders.rows import AccountRow, PositionRow
from counter.pricing.formulas import PricingError
from counter.trading.switches import coins_stopped
from infra.db.arrays import array
from infra.db.composing import answered, together
from infra.db.lifecycles import moves
from infra.db.rows import reader

log = structlog.get_logger(__name__)

CHUNK_POSITIONS = 1000
# Somebody else may hold a customer's account, a person at a console for instance: while it is waited for, nobody of the
# chunk can trade. Once it is known that one is held, finding out which is done in haste.
LOCK_WITHIN = "1s"
LOCK_IN_HASTE = "50ms"
LOCK_NOT_AVAILABLE = "55P03"
# Materialized: with a limit the planner would rather walk all positions that there ever were, by their ids.
OPEN_POSITIONS = """
    WITH open AS MATERIALIZED (
        SELECT id, customer_id FROM counter_position WHERE option_id = ANY(%s::bigint[]) AND state = 'OPEN'
    ) SELECT id, customer_id FROM open WHERE id > %s ORDER BY id LIMIT %s
"""


def open_positions(option_ids: Sequence[int], *, after_id: int, limit: int) -> list[tuple[int, int]]:
    """(position id, customer id) of the first `limit` open positions of these options after one, by id."""
    with reader("default") as cursor:
        cursor.execute(OPEN_POSITIONS, [array(option_ids), after_id, limit])
        return cursor.fetchall()


def exercisable(expires_at: datetime) -> dict[int, ExpiredOption]:
    """The options of a moment that have a settlement index, by id; none of a coin that a person has stopped."""
    expired = Option.objects.filter(
        expires_at=expires_at, state=Option.State.EXPIRED, settlement_index__isnull=False
    ).exclude(underlying__in=coins_stopped())
    fields = ("id", "symbol", "underlying", "kind", "strike", "multiplier", "settlement_index")
    return {row[0]: ExpiredOption(*row) for row in expired.values_list(*fields)}


def exercise_apart(
    *,
    chunk: Sequence[tuple[int, int]],
    options: dict[int, ExpiredOption],
    expires_at: datetime,
    now: datetime,
    lock_within: str = LOCK_WITHIN,
) -> list[Order]:
    """`exercise_chunk`, but what cannot be ended by itself holds up no other: halves are tried until it is alone."""
    try:
        return exercise_chunk(
            chunk=chunk, options=options, expires_at=expires_at, now=now, lock_within=lock_within
        )
    except (DataError, IntegrityError, PricingError, OperationalError) as error:
        if isinstance(error, OperationalError):
            if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            lock_within = LOCK_IN_HASTE
        if len(chunk) == 1:
            log.error("position cannot be ended", position=chunk[0][0], error=repr(error))
            return []
    middle = len(chunk) // 2
    halves = (chunk[:middle], chunk[middle:])
    return [
        order
        for half in halves
        for order in exercise_apart(
            chunk=half, options=options, expires_at=expires_at, now=now, lock_within=lock_within
        )
    ]


def exercise_chunk(
    *,
    chunk: Sequence[tuple[int, int]],
    options: dict[int, ExpiredOption],
    expires_at: datetime,
    now: datetime,
    lock_within: str = LOCK_WITHIN,
) -> list[Order]:
    """End the positions of a chunk that are still open; the orders that were committed, for the desk to hear of.

    Those in the money are exercised, by an order each, and paid as `allowance` says; the others expire. Nothing ends of
    a coin that a person has stopped since `options` were read.
    """
    with transaction.atomic():
        # Before any account: nobody who holds one asks for these.
        expiries = list(Expiry.objects.filter(expires_at=expires_at).order_by("id").select_for_update())
        accounts = _lock_accounts({customer_id for _, customer_id in chunk}, lock_within)
        positions = order_sql.positions([position_id for position_id, _ in chunk])
        stopped = coins_stopped()
        still_open = sorted(
            (
                position
                for position in positions.values()
                if position.state == Position.State.OPEN
                and options[position.option_id].underlying not in stopped
            ),
            key=lambda position: position.id,
        )
        if not still_open:
            return []
        batch = ExerciseBatch(
            accounts=accounts,
            options=options,
            order_ids=order_sql.next_order_ids(len(still_open)),
            allowance=allowance(expiries),
            now=now,
        )
        for position in still_open:
            batch.decide(position)
        _write(batch, expires_at, now)
    return batch.orders


def _lock_accounts(customer_ids: Collection[int], within: str) -> dict[int, AccountRow]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [within])
    return order_sql.lock_accounts(customer_ids)


def allowance(expiries: Sequence[Expiry]) -> Decimal:
    """USDT that may still be paid at once to positions of the moment that these expiries are all of."""
    paid = sum((expiry.paid_at_once for expiry in expiries), Decimal(0))
    return max(settings.EXPIRY_INSTANT_PAYOUT_USDT - paid, Decimal(0))


@moves(Position.exercise)
@moves(Position.expire)
def _write(batch: ExerciseBatch, expires_at: datetime, now: datetime) -> None:
    ended = [*batch.exercised, *batch.worthless]
    writing.write(
        accounts=batch.accounts.values(),
        orders=batch.orders,
        positions=[],
        transfers=batch.transfers,
        now=now,
    )
    moved = 0
    for transition, event, positions in (
        (Position.exercise, events.POSITION_EXERCISED, batch.exercised),
        (Position.expire, events.POSITION_EXPIRED, batch.worthless),
    ):
        moved += _end(transition, event, positions, now)
    if moved != len(ended):
        raise RuntimeError(f"{len(ended)} positions to end, {moved} ended")
    for underlying, counts in batch.counts().items():
        Expiry.objects.filter(underlying=underlying, expires_at=expires_at).update(
            paid_at_once=F("paid_at_once") + batch.paid_at_once.get(underlying, Decimal(0)),
            **{name: F(name) + count for name, count in counts.items()},
        )


def _end(transition: Any, event: str, positions: Sequence[PositionRow], now: datetime) -> int:
    """Move positions to their end, and tell of it; how many moved."""
    moved = writing.ending(transition, positions, now, returning=["id", "customer_id"])
    if not moved:
        return 0
    told = [events.telling({event: "moved"}, now)]
    [(count,)] = answered("default", together({"moved": moved, "told": told}, "SELECT count(*) FROM moved"))
    return count
