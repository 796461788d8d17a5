"""Reporting settlements to counter until it has taken each; counter takes one twice without effect."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
from django.db import connections

from acceptance import counter_client
from acceptance.counter_client import ContentRefused
from acceptance.models import AcceptedOrder
from config.transitions import move
from counter.contracts import SettlementReport

log = structlog.get_logger(__name__)

REPORT_ORDERS = 1000
MAX_ROUNDS = 100
# Read off the index of what is settled and unreported, page by page.
UNREPORTED = """
    SELECT o.id, o.order_id, c.id, c.price, a.value, a.fee, a.due, o.settled_at
    FROM acceptance_acceptedorder AS o
    JOIN settlement_allocation AS a ON a.order_id = o.id
    JOIN settlement_conversion AS c ON c.id = a.conversion_id
    WHERE o.state = 'SETTLED' AND o.id > %s ORDER BY o.id LIMIT %s
"""


class Unreported(NamedTuple):
    """A settled order by its row, and what counter is to hear of it."""

    id: int
    report: SettlementReport


def report_settled(*, now: datetime) -> int:
    """Report everything that is SETTLED, in batches; how many orders counter has taken.

    What counter refuses stays SETTLED, for a person to see, and holds up no other.

    Raises: CounterUnavailable, CounterRefused.
    """
    taken, after = 0, 0
    for _ in range(MAX_ROUNDS):
        page = _unreported(after)
        if not page:
            break
        after = page[-1].id
        taken += _report(page, now)
        if len(page) < REPORT_ORDERS:
            break
    return taken


def _unreported(after: int) -> list[Unreported]:
    with connections["desk"].cursor() as cursor:
        cursor.execute(UNREPORTED, [after, REPORT_ORDERS])
        return [Unreported(row[0], SettlementReport(*row[1:])) for row in cursor.fetchall()]


def _report(page: Sequence[Unreported], now: datetime) -> int:
    """Report a page; one that counter cannot read is halved until what it cannot read stands alone."""
    try:
        answer = counter_client.report([unreported.report for unreported in page])
    except ContentRefused as error:
        if len(page) == 1:
            log.error("counter cannot read a settlement", order=page[0].report.order_id, error=str(error))
            return 0
        middle = len(page) // 2
        return _report(page[:middle], now) + _report(page[middle:], now)
    if answer.refused:
        log.error("counter refuses settlements", orders=answer.refused[:20], count=len(answer.refused))
    taken = set(answer.taken)
    ids = [unreported.id for unreported in page if unreported.report.order_id in taken]
    return len(move(AcceptedOrder, AcceptedOrder.report, ids, same={"reported_at": now}))
