"""Whether a new order is let in: filters, client id, number of open orders, funds.

What is refused here has left no trace in the books.
"""

from __future__ import annotations

from collections.abc import Sequence

from tools.paper_venue import filters
from tools.paper_venue.amounts import ZERO
from tools.paper_venue.errors import DuplicateOrder, InsufficientBalance
from tools.paper_venue.market import Market
from tools.paper_venue.matching import Match
from tools.paper_venue.orders import NewOrder, total_quantity, total_quote
from tools.paper_venue.records import OrderType, Side
from tools.paper_venue.state import State


def check_new_order(*, state: State, market: Market, account: str, request: NewOrder) -> None:
    """Everything an order is refused for before it meets the book.

    Raises: FilterFailure, TooMuchPrecision, DuplicateOrder, InsufficientBalance, and what the market refuses with.
    """
    if market.refusal is not None:
        raise market.refusal
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
    *, state: State, market: Market, account: str, side: Side, fills: Sequence[Match]
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
