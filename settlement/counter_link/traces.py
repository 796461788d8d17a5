"""The trace of an order, told when counter has taken its settlement: from its placing to its report."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from acceptance.models import AcceptedOrder
from infra.observability import tracing
from infra.observability.tracing import Span
from settlement.models import Conversion


def tell(row_ids: Sequence[int]) -> None:
    """Tell of reported orders, by their row ids. Raises: database errors."""
    orders = AcceptedOrder.objects.filter(pk__in=row_ids)
    conversions = Conversion.objects.in_bulk({order.conversion_id for order in orders})
    for order in orders:
        tracing.tell(
            tracing.of_order(order.source, order.order_id),
            root=Span(
                "order",
                order.placed_at,
                order.reported_at or order.placed_at,
                {"order_id": order.order_id, "conversion": order.conversion_id or 0},
            ),
            steps=_steps(order, conversions.get(order.conversion_id)),
        )


def _steps(order: AcceptedOrder, conversion: Conversion | None) -> list[Span]:
    """In their order; what a conversion without an order at the venue has not is left out."""
    moments: list[tuple[str, datetime | None]] = [
        ("place", order.placed_at),
        ("reach the desk", order.received_at),
        ("wait for a round", order.converting_at),
    ]
    if conversion is not None:
        moments += [("send", conversion.submitted_at), ("fill", conversion.filled_at)]
    moments += [("book", order.settled_at), ("report", order.reported_at)]
    known = [(name, at) for name, at in moments if at is not None]
    ids = {"order_id": order.order_id, "conversion": order.conversion_id or 0}
    return [Span(name, began, ended, ids) for (_, began), (name, ended) in pairwise(known)]
