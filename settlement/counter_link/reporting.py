"""Reporting settlements to counter until it has taken each; counter takes one twice without effect."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import structlog

from acceptance import counter_client
from acceptance.counter_client import CounterUnavailable
from acceptance.isolating_failures import store_apart
from acceptance.models import AcceptedOrder
from acceptance.order_history import move_orders
from counter.contracts import SettlementReport
from infra.broker.dispatcher import dispatcher
from infra.coordination.leader import exclusive, is_held
from infra.db.arrays import array
from infra.db.lifecycles import moves
from infra.db.rows import reader
from infra.observability import correlation, tracing
from infra.observability.troubles import Trouble
from settlement.counter_link import traces
from settlement.task_triggers import BALANCE, balance_in

log = structlog.get_logger(__name__)
_untraced = Trouble(log, "reports not traced", over="reports traced again")

REPORTING = "report"  # the lock of the process that reports
# Held on for so long after a report: what is settled meanwhile goes along with the next one, and calls for none itself.
GATHER_SECONDS = 0.05
# Then another task goes on: under load there is always more, and a worker that is told to end waits for its tasks.
REPORTS_FOR_SECONDS = 1.0
REPORT_ORDERS = 1000
MAX_ROUNDS = 100
REFUSED_WAITS = timedelta(seconds=60)
HELD_WAITS = timedelta(seconds=1)
# More of one page that counter cannot take are no faults of single orders: counter is not itself.
MOST_SPOILED = 20
# Read off the index of what is settled and unreported, page by page. Not while it is undecided whether the order under
# this id is counter's own: counter would settle its own by what another one came to.
UNREPORTED = """
    SELECT o.id, o.order_id, c.id, c.price, a.value, a.fee, a.due, o.settled_at
    FROM acceptance_acceptedorder AS o
    JOIN settlement_allocation AS a ON a.order_id = o.id
    JOIN settlement_conversion AS c ON c.id = a.conversion_id
    WHERE o.state = 'SETTLED' AND o.id > %s AND o.id <> ALL(%s::bigint[])
        AND NOT EXISTS (SELECT FROM acceptance_conflict AS k
                        WHERE k.source = o.source AND k.order_id = o.order_id AND k.reason = 'other_content'
                            AND k.resolved_at IS NULL)
    ORDER BY o.id LIMIT %s
"""

# What counter refused and when it may be told again, by row; only this process's memory, for the truth is the state.
_aside: dict[int, datetime] = {}


class Unreported(NamedTuple):
    """A settled order by its row, and what counter is to hear of it."""

    id: int
    report: SettlementReport


def report_until_done(*, clock: Callable[[], datetime]) -> int:
    """Report what is SETTLED, unless another process holds the lock; it re-checks on release. How many were taken.

    A clock instead of a moment: under load this goes on for REPORTS_FOR_SECONDS, takes along what is settled meanwhile,
    and calls for another that goes on.

    Raises: CounterUnavailable, CounterRefused.
    """
    taken_in_all = 0
    ends_at = time.monotonic() + REPORTS_FOR_SECONDS
    while True:
        with exclusive(REPORTING, using="desk") as alone:
            taken = report_settled(clock=clock) if alone else 0
            if taken:
                time.sleep(GATHER_SECONDS)
        taken_in_all += taken
        # Looked at only after the lock is free: what was settled while it was held is left to this.
        if not alone or not is_anything_left(now=clock()):
            return taken_in_all
        if time.monotonic() >= ends_at:
            dispatcher.send(BALANCE)
            return taken_in_all


def is_under_way() -> bool:
    """Whether a process reports that will look again: what is settled by now is reported without another call."""
    return is_held(REPORTING, using="desk")


def report_settled(*, clock: Callable[[], datetime]) -> int:
    """Report everything that is SETTLED, in batches; how many orders counter has taken.

    What counter refuses or fails at stays SETTLED, for a person to see, holds up no other, and is told again after
    REFUSED_WAITS; what it cannot look at because somebody holds it, after HELD_WAITS.

    Raises: CounterUnavailable, CounterRefused.
    """
    taken, after = 0, 0
    for _ in range(MAX_ROUNDS):
        page = _unreported(after, clock(), limit=REPORT_ORDERS)
        if not page:
            break
        after = page[-1].id
        taken += _report(page, clock)
        if len(page) < REPORT_ORDERS:
            break
    return taken


def is_anything_left(*, now: datetime) -> bool:
    """Whether an order is settled and not reported, of which counter may be told now."""
    return bool(_unreported(0, now, limit=1))


def _unreported(after: int, now: datetime, *, limit: int) -> list[Unreported]:
    for row_id in [
        row_id for row_id, until in list(_aside.items()) if not now < until <= now + REFUSED_WAITS
    ]:
        _aside.pop(row_id, None)
    with reader("desk") as cursor:
        cursor.execute(UNREPORTED, [after, array(list(_aside)), limit])
        return [Unreported(row[0], SettlementReport(*row[1:])) for row in cursor.fetchall()]


def _report(page: Sequence[Unreported], clock: Callable[[], datetime]) -> int:
    """Report a page, halved until what counter cannot take stands alone; how many orders it has taken."""
    moved: list[int] = []
    spoiled: list[int] = []

    def put_aside(unreported: Unreported, error: Exception) -> None:
        log.error("counter cannot take a settlement", order_id=unreported.report.order_id, error=str(error))
        _aside[unreported.id] = clock() + REFUSED_WAITS
        spoiled.append(unreported.id)
        if len(spoiled) >= MOST_SPOILED:
            raise CounterUnavailable(f"counter fails at one settlement after another: {error}") from error

    store_apart(
        page,
        store=lambda some: moved.extend(_tell(some, clock)),
        on_failure=put_aside,
        divides=counter_client.may_be_of_one,
    )
    return len(moved)


@moves(AcceptedOrder.report)
def _tell(page: Sequence[Unreported], clock: Callable[[], datetime]) -> list[int]:
    """The rows that counter has taken; of the others is kept when they are told again."""
    answer = counter_client.report([unreported.report for unreported in page])
    now = clock()
    taken, held = set(answer.taken), set(answer.held)
    ids = [unreported.id for unreported in page if unreported.report.order_id in taken]
    log.info(
        "orders reported",
        orders=correlation.runs(taken),
        conversion=correlation.runs(unreported.report.conversion_id for unreported in page),
    )
    for unreported in page:
        order_id = unreported.report.order_id
        if order_id not in taken:
            _aside[unreported.id] = now + (HELD_WAITS if order_id in held else REFUSED_WAITS)
    if held:
        balance_in(HELD_WAITS.total_seconds())
    if answer.refused:
        log.error(
            "counter refuses settlements", orders=correlation.runs(answer.refused), count=len(answer.refused)
        )
    moved = move_orders(ids, AcceptedOrder.report, at=now, same={"reported_at": now})
    tracing.attempt(partial(traces.tell, moved), trouble=_untraced)
    return moved
