"""Whether a new order is let in: filters, client id, number of open orders, funds.

Whatever is refused here has left no trace in the books.
"""

from __future__ import annotations

from collections.abc import Sequence

from settlement.venues.paper import filters
from settlement.venues.paper.amounts import ZERO
from settlement.venues.paper.errors import DuplicateOrder, InsufficientBalance
from settlement.venues.paper.market import Market
from settlement.venues.paper.matching import Fill
from settlement.venues.paper.orders import NewOrder, total_quantity, total_quote
from settlement.venues.paper.records import OrderType, Side
from settlement.venues.paper.state import State


def check_new_order(*, state: State, market: Market, account: str, request: NewOrder) -> None:
    """Everything an order is refused for before it meets the book.

    Raises: FilterFailure, TooMuchPrecision, DuplicateOrder, InsufficientBalance.
    """
    _check_filters(market, request)
    latest = state.order_by_client_id(
        account=account, symbol=request.symbol, client_order_id=request.client_order_id
    )
    if latest is not None and latest.status.is_open:
        raise DuplicateOrder
    owner = state.account(account)
    if request.rests:
        open_orders = [order for order in owner.open_orders.values() if order.symbol == request.symbol]
        filters.check_open_orders(count=len(open_orders))
    if request.side is Side.SELL:
        needed, asset = request.quantity or ZERO, market.symbol.base
    elif request.price is not None and request.quantity is not None:
        needed, asset = request.price * request.quantity, market.symbol.quote
    else:
        needed, asset = request.quote_quantity or ZERO, market.symbol.quote
    if owner.spot[asset].free < needed:
        raise InsufficientBalance


def check_market_funds(
    *, state: State, market: Market, account: str, side: Side, fills: Sequence[Fill]
) -> None:
    """What a market order costs is known only once it has met the book.

    Raises: InsufficientBalance.
    """
    if side is Side.BUY:
        needed, asset = total_quote(fills), market.symbol.quote
    else:
        needed, asset = total_quantity(fills), market.symbol.base
    if state.account(account).spot[asset].free < needed:
        raise InsufficientBalance


def _check_filters(market: Market, request: NewOrder) -> None:
    symbol, average = market.symbol, market.average_price
    if request.price is not None:
        filters.check_precision(name="price", amount=request.price)
        filters.check_price(symbol=symbol, price=request.price, average_price=average)
    if request.quantity is not None:
        filters.check_precision(name="quantity", amount=request.quantity)
        filters.check_quantity(
            symbol=symbol, is_market=request.order_type is OrderType.MARKET, quantity=request.quantity
        )
        notional = request.quantity * (request.price or average)
    else:
        notional = request.quote_quantity or ZERO
        filters.check_precision(name="quoteOrderQty", amount=notional)
    filters.check_notional(symbol=symbol, is_market=request.order_type is OrderType.MARKET, notional=notional)
