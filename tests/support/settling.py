"""The desk's word on an order, without a desk."""

from datetime import UTC, datetime
from decimal import Decimal

from counter.contracts import SettlementReport
from counter.orders.requests import Order
from counter.orders.settlements import take_reports


def settle(order: Order, *, due: str | Decimal | None = None, now: datetime | None = None) -> None:
    """Have counter take the report that an order was settled, at its fair value in USDT unless told."""
    at = now or datetime.now(UTC)
    worth = order.fair if due is None else Decimal(due)
    report = SettlementReport(
        order_id=order.id,
        conversion_id=order.id,
        price=order.index_price,
        value=worth,
        fee=Decimal("0.01"),
        due=worth,
        settled_at=at,
    )
    answer = take_reports(reports=[report], now=at)
    assert answer.taken == [order.id]
