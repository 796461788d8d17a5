"""Reporting settlements to counter until it has taken each; counter takes one twice without effect."""

from datetime import datetime

import structlog

from acceptance import counter_client
from acceptance.models import AcceptedOrder
from config.transitions import move
from counter.contracts import SettlementReport
from settlement.models import Allocation

log = structlog.get_logger(__name__)

REPORT_ORDERS = 1000
MAX_ROUNDS = 100


def report_settled(*, now: datetime) -> int:
    """Report everything that is SETTLED, in batches; how many orders counter has taken.

    Stops at a batch of which counter takes nothing; what it refuses stays SETTLED, for a person to see.

    Raises: CounterUnavailable, CounterRefused.
    """
    taken_in_all, after = 0, 0
    for _ in range(MAX_ROUNDS):
        rows = list(
            Allocation.objects.filter(order__state=AcceptedOrder.State.SETTLED, order_id__gt=after)
            .order_by("order_id")
            .select_related("order", "conversion")[:REPORT_ORDERS]
        )
        if not rows:
            break
        after = rows[-1].order_id
        answer = counter_client.report([_report(row) for row in rows])
        taken = set(answer.taken)
        if answer.refused:
            log.error("counter refuses settlements", orders=answer.refused[:20], count=len(answer.refused))
        ids = [row.order_id for row in rows if row.order.order_id in taken]
        taken_in_all += len(move(AcceptedOrder, AcceptedOrder.report, ids, same={"reported_at": now}))
        if len(rows) < REPORT_ORDERS:
            break
    return taken_in_all


def _report(row: Allocation) -> SettlementReport:
    assert row.conversion.price is not None  # noqa: S101 - booked with its allocations
    assert row.order.settled_at is not None  # noqa: S101
    return SettlementReport(
        order_id=row.order.order_id,
        conversion_id=row.conversion_id,
        price=row.conversion.price,
        value=row.value,
        fee=row.fee,
        due=row.due,
        settled_at=row.order.settled_at,
    )
