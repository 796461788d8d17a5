"""Orders as counter has them, for a desk that was restored from a backup and has forgotten what it held and settled."""

from django.conf import settings

from counter.contracts import OrderHistory, SettlementReport
from counter.models import SyncOrder
from counter.orders.requests import Order
from counter.orders.sql import ORDER_COLUMNS

REPORTED = (
    *("id", "conversion_id", "settlement_price", "settlement_value", "settlement_fee", "settlement_due"),
    "settled_at",
)


def order_history(*, after_id: int, limit: int) -> OrderHistory:
    """Sync events of the `limit` orders after one, by their ids, in any state, and what settled them."""
    orders = SyncOrder.objects.filter(pk__gt=after_id).order_by("pk")[:limit]
    events = [Order(*row).sync_event(settings.COUNTER_SOURCE) for row in orders.values_list(*ORDER_COLUMNS)]
    if not events:
        return OrderHistory(events=[], reports=[])
    settled = SyncOrder.objects.filter(
        pk__gt=after_id, pk__lte=events[-1].order_id, state=SyncOrder.State.SETTLED
    )
    rows = settled.order_by("pk").values_list(*REPORTED)
    return OrderHistory(events=events, reports=[SettlementReport(*row) for row in rows])
