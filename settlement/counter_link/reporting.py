"""Reporting settlements to counter until it has taken each; counter takes one twice without effect."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from acceptance import counter_client
from acceptance.counter_client import ContentRefused
from acceptance.models import AcceptedOrder
from config import trail
from config.arrays import array
from config.leader import exclusive
from config.rows import reader
from config.transitions import move
from counter.contracts import SettlementReport

log = structlog.get_logger(__name__)

REPORT_ORDERS = 1000
MAX_ROUNDS = 100
REFUSED_WAITS = timedelta(seconds=60)
# Read off the index of what is settled and unreported, page by page.
UNREPORTED = """
    SELECT o.id, o.order_id, c.id, c.price, a.value, a.fee, a.due, o.settled_at
    FROM acceptance_acceptedorder AS o
    JOIN settlement_allocation AS a ON a.order_id = o.id
    JOIN settlement_conversion AS c ON c.id = a.conversion_id
    WHERE o.state = 'SETTLED' AND o.id > %s AND o.id <> ALL(%s::bigint[]) ORDER BY o.id LIMIT %s
"""

# What counter refused and when it may be told again, by row; only this process's memory, for the truth is the state.
_aside: dict[int, datetime] = {}


class Unreported(NamedTuple):
    """A settled order by its row, and what counter is to hear of it."""

    id: int
    report: SettlementReport


def report_until_done(*, clock: Callable[[], datetime]) -> int:
    """Report what is SETTLED, unless somebody is at it: he looks again when he is done. How many counter has taken.

    A clock instead of a moment: under load this goes on for long, and takes along what is settled meanwhile.

    Raises: CounterUnavailable, CounterRefused.
    """
    taken_in_all = 0
    while _unreported(0, clock(), limit=1):
        with exclusive("report", using="desk") as alone:
            taken = report_settled(clock=clock) if alone else 0
        if not taken:
            break
        taken_in_all += taken
    return taken_in_all


def report_settled(*, clock: Callable[[], datetime]) -> int:
    """Report everything that is SETTLED, in batches; how many orders counter has taken.

    What counter refuses stays SETTLED, for a person to see, holds up no other, and is told again after REFUSED_WAITS.

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


def _unreported(after: int, now: datetime, *, limit: int) -> list[Unreported]:
    for row_id in [row_id for row_id, until in list(_aside.items()) if until <= now]:
        _aside.pop(row_id, None)
    with reader("desk") as cursor:
        cursor.execute(UNREPORTED, [after, array(list(_aside)), limit])
        return [Unreported(row[0], SettlementReport(*row[1:])) for row in cursor.fetchall()]


def _report(page: Sequence[Unreported], clock: Callable[[], datetime]) -> int:
    """Report a page; one that counter cannot read is halved until what it cannot read stands alone."""
    try:
        answer = counter_client.report([unreported.report for unreported in page])
    except ContentRefused as error:
        if len(page) > 1:
            middle = len(page) // 2
            return _report(page[:middle], clock) + _report(page[middle:], clock)
        log.error("counter cannot read a settlement", order_id=page[0].report.order_id, error=str(error))
        _aside[page[0].id] = clock() + REFUSED_WAITS
        return 0
    now = clock()
    taken = set(answer.taken)
    ids = [unreported.id for unreported in page if unreported.report.order_id in taken]
    log.info(
        "orders reported",
        orders=trail.runs(taken),
        conversion=trail.runs(unreported.report.conversion_id for unreported in page),
    )
    for unreported in page:
        if unreported.report.order_id not in taken:
            _aside[unreported.id] = now + REFUSED_WAITS
    if answer.refused:
        log.error("counter refuses settlements", orders=trail.runs(answer.refused), count=len(answer.refused))
    return len(move(AcceptedOrder, AcceptedOrder.report, ids, same={"reported_at": now}))
