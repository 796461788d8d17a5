"""The life of one order: asked for, matched, opened, filled - each step a new version, nothing stored here.

An order's executed amounts are the exact sums of its fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from tools.paper_venue.amounts import ZERO
from tools.paper_venue.matching import Level, Match, match_quantity, match_quote
from tools.paper_venue.records import Order, OrderStatus, OrderType, Side, TimeInForce


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as asked for; exactly one of ``quantity`` and ``quote_quantity`` is set, ``price`` for limit orders."""

    symbol: str
    side: Side
    order_type: OrderType
    client_order_id: str
    time_in_force: TimeInForce = TimeInForce.GTC
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    prevention_mode: str = "EXPIRE_MAKER"

    @property
    def rests(self) -> bool:
        """Whether what is not filled at once stays in the book."""
        return self.order_type is not OrderType.MARKET and self.time_in_force is TimeInForce.GTC


def total_quantity(fills: Sequence[Match]) -> Decimal:
    return sum((fill.quantity for fill in fills), ZERO)


def total_quote(fills: Sequence[Match]) -> Decimal:
    return sum((fill.price * fill.quantity for fill in fills), ZERO)


def match(*, request: NewOrder, step: Decimal, levels: Sequence[Level]) -> tuple[list[Match], bool]:
    """The fills the book gives the order at once, and whether they complete it.

    A fill-or-kill order that is not complete has none.
    """
    if request.quantity is None:
        return match_quote(quote_quantity=request.quote_quantity or ZERO, step=step, levels=levels)
    fills = match_quantity(side=request.side, quantity=request.quantity, limit=request.price, levels=levels)
    is_complete = total_quantity(fills) == request.quantity
    if request.time_in_force is TimeInForce.FOK and not is_complete:
        return [], False
    return fills, is_complete


def opened(
    *, request: NewOrder, order_id: int, account: str, fills: Sequence[Match], is_complete: bool, now_ms: int
) -> Order:
    """The order's first version, with what was filled at once."""
    executed = total_quantity(fills)
    if is_complete and executed:
        status = OrderStatus.FILLED
    elif not request.rests:
        status = OrderStatus.EXPIRED
    else:
        status = OrderStatus.PARTIALLY_FILLED if executed else OrderStatus.NEW
    return Order(
        order_id=order_id,
        account=account,
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        side=request.side,
        order_type=request.order_type,
        time_in_force=request.time_in_force,
        price=request.price or ZERO,
        quantity=executed if request.quantity is None else request.quantity,
        quote_quantity=request.quote_quantity or ZERO,
        executed_quantity=executed,
        executed_quote=total_quote(fills),
        status=status,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        prevention_mode=request.prevention_mode,
    )


def filled(order: Order, *, fills: Sequence[Match], now_ms: int) -> Order:
    """The next version of a resting order after these fills."""
    executed = order.executed_quantity + total_quantity(fills)
    return replace(
        order,
        executed_quantity=executed,
        executed_quote=order.executed_quote + total_quote(fills),
        status=OrderStatus.FILLED if executed == order.quantity else OrderStatus.PARTIALLY_FILLED,
        updated_at_ms=now_ms,
    )
