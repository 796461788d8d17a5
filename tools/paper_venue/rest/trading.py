"""Orders: place, test, find, list and cancel."""

from __future__ import annotations

import secrets
from typing import Any

from tools.paper_venue.errors import (
    BadCombination,
    EitherParameterMissing,
    IntervalTooLong,
    InvalidOrderType,
    InvalidParameter,
    InvalidSide,
    InvalidTimeInForce,
    NoSuchOrder,
    ParameterMissing,
    ParameterNotRequired,
    PriceInvalid,
    QuantityInvalid,
    UnknownOrder,
)
from tools.paper_venue.orders import NewOrder
from tools.paper_venue.records import Order, OrderChanged, OrderType, Side, TimeInForce
from tools.paper_venue.rest import views
from tools.paper_venue.rest.call import Call, Route
from tools.paper_venue.rest.params import CLIENT_ID, INTEGER, Params
from tools.paper_venue.state import Account, State
from tools.paper_venue.symbols import PREVENTION_MODES

DAY_MS = 86_400_000
UNSUPPORTED = ("stopPrice", "icebergQty", "trailingDelta", "pegPriceType", "pegOffsetValue", "pegOffsetType")


def place(call: Call) -> dict[str, Any]:
    request, response_type = read_order(call.params)
    call.params.finish()
    call.headers.update(call.venue.limits.count_order(account=call.account_name, now_ms=call.now_ms))
    changed = call.venue.engine.place_order(account=call.account_name, request=request, now_ms=call.now_ms)
    return _placed(changed, response_type)


def test(call: Call) -> dict[str, Any]:
    """Everything ``place`` checks, and nothing done."""
    request, _ = read_order(call.params)
    with_rates = call.params.flag("computeCommissionRates")
    call.params.finish()
    call.venue.engine.check_order(account=call.account_name, request=request)
    if not with_rates:
        return {}
    commission = call.venue.engine.commission
    rates = {"maker": f"{commission.maker:.8f}", "taker": f"{commission.taker:.8f}"}
    return {
        "standardCommissionForOrder": rates,
        "taxCommissionForOrder": {"maker": "0.00000000", "taker": "0.00000000"},
        "discount": {
            "enabledForAccount": call.account.burns_bnb,
            "enabledForSymbol": True,
            "discountAsset": "BNB",
            "discount": "0.25000000",
        },
    }


def find(call: Call) -> dict[str, Any]:
    symbol = call.params.symbol()
    order_id, client_order_id = _order_reference(call.params)
    call.params.finish()
    order = _find(call.visible, call.account_name, symbol.name, order_id, client_order_id)
    if order is None:
        raise NoSuchOrder
    return views.queried_order(order)


def cancel(call: Call) -> dict[str, Any]:
    symbol = call.params.symbol()
    order_id, client_order_id = _order_reference(call.params)
    cancel_id = call.params.text("newClientOrderId", legal=CLIENT_ID) or _generated_id()
    call.params.finish()
    order = _find(call.venue.state, call.account_name, symbol.name, order_id, client_order_id)
    if order is None:
        raise UnknownOrder
    cancelled = call.venue.engine.cancel_order(
        account=call.account_name, order_id=order.order_id, now_ms=call.now_ms
    )
    return views.cancelled_order(cancelled, cancel_id=cancel_id)


def cancel_all(call: Call) -> list[dict[str, Any]]:
    symbol = call.params.symbol()
    call.params.finish()
    cancel_id = _generated_id()
    engine = call.venue.engine
    engine.advance(symbol=symbol.name, now_ms=call.now_ms)
    orders = _open_orders(call.venue.state.account(call.account_name), symbol.name)
    if not orders:
        raise UnknownOrder
    return [
        views.cancelled_order(
            engine.cancel_order(account=call.account_name, order_id=order.order_id, now_ms=call.now_ms),
            cancel_id=cancel_id,
        )
        for order in orders
    ]


def list_open(call: Call) -> list[dict[str, Any]]:
    symbol = call.params.optional_symbol()
    call.params.finish()
    return [
        views.queried_order(order) for order in _open_orders(call.account, symbol.name if symbol else None)
    ]


def list_all(call: Call) -> list[dict[str, Any]]:
    """Orders of a symbol, oldest first: from an id on, within a day, or the latest."""
    symbol = call.params.symbol()
    from_id = call.params.integer("orderId")
    start, end = time_range(call.params)
    limit = call.params.limit()
    call.params.finish()
    orders = [
        order
        for order in call.visible.orders_of(
            account=call.account_name, symbol=symbol.name, from_id=from_id or 0
        )
        if (start is None or order.created_at_ms >= start) and (end is None or order.created_at_ms <= end)
    ]
    is_forward = from_id is not None or start is not None
    return [views.queried_order(order) for order in (orders[:limit] if is_forward else orders[-limit:])]


def read_order(params: Params) -> tuple[NewOrder, str]:
    """The order asked for and the wanted response type.

    Raises: ApiError.
    """
    symbol = params.symbol()
    side = params.choice("side", Side, InvalidSide)
    order_type = params.choice("type", OrderType, InvalidOrderType)
    if side is None or order_type is None:
        raise ParameterMissing("side" if side is None else "type")
    for name in UNSUPPORTED:
        if params.has(name):
            raise ParameterNotRequired(name)
    request = NewOrder(
        symbol=symbol.name,
        side=side,
        order_type=order_type,
        client_order_id=params.text("newClientOrderId", legal=CLIENT_ID) or _generated_id(),
        prevention_mode=_prevention_mode(params),
        **(_market_terms(params) if order_type is OrderType.MARKET else _limit_terms(params, order_type)),
    )
    params.integer("strategyId")
    params.integer("strategyType")
    default = "FULL" if order_type is not OrderType.LIMIT_MAKER else "ACK"
    response_type = params.text("newOrderRespType") or default
    if response_type not in ("ACK", "RESULT", "FULL"):
        raise InvalidParameter("newOrderRespType")
    return request, response_type


def _market_terms(params: Params) -> dict[str, Any]:
    for name in ("price", "timeInForce"):
        if params.has(name):
            raise ParameterNotRequired(name)
    quantity, quote_quantity = params.decimal("quantity"), params.decimal("quoteOrderQty")
    if quantity is not None and quote_quantity is not None:
        raise BadCombination
    if quantity is None and quote_quantity is None:
        raise EitherParameterMissing("quantity", "quoteOrderQty")
    if quantity == 0 or quote_quantity == 0:
        raise QuantityInvalid
    return {"quantity": quantity, "quote_quantity": quote_quantity}


def _limit_terms(params: Params, order_type: OrderType) -> dict[str, Any]:
    if params.has("quoteOrderQty"):
        raise ParameterNotRequired("quoteOrderQty")
    time_in_force = params.choice("timeInForce", TimeInForce, InvalidTimeInForce)
    if order_type is OrderType.LIMIT_MAKER and time_in_force is not None:
        raise ParameterNotRequired("timeInForce")
    if order_type is OrderType.LIMIT and time_in_force is None:
        raise ParameterMissing("timeInForce")
    quantity, price = params.decimal("quantity"), params.decimal("price")
    if quantity is None or price is None:
        raise ParameterMissing("quantity" if quantity is None else "price")
    if quantity == 0:
        raise QuantityInvalid
    if price == 0:
        raise PriceInvalid
    return {"quantity": quantity, "price": price, "time_in_force": time_in_force or TimeInForce.GTC}


def _prevention_mode(params: Params) -> str:
    mode = params.text("selfTradePreventionMode") or "EXPIRE_MAKER"
    if mode not in PREVENTION_MODES:
        raise InvalidParameter("selfTradePreventionMode")
    return mode


def _placed(changed: OrderChanged, response_type: str) -> dict[str, Any]:
    if response_type == "ACK":
        return views.acknowledged_order(changed.order)
    answer = views.placed_order(changed.order)
    if response_type == "FULL":
        answer["fills"] = [views.fill(trade) for trade in changed.trades]
    return answer


def _order_reference(params: Params) -> tuple[int | None, str | None]:
    order_id = params.text("orderId", legal=INTEGER)
    client_order_id = params.text("origClientOrderId")
    if order_id is None and client_order_id is None:
        raise EitherParameterMissing("origClientOrderId", "orderId")
    return (None if order_id is None else int(order_id)), client_order_id


def _find(
    state: State, account: str, symbol: str, order_id: int | None, client_order_id: str | None
) -> Order | None:
    """The account's order; an order id counts for more than a client id."""
    if order_id is None:
        return state.order_by_client_id(account=account, symbol=symbol, client_order_id=client_order_id or "")
    order = state.orders.get(order_id)
    if order is None or (order.account, order.symbol) != (account, symbol):
        return None
    return order


def _open_orders(account: Account, symbol: str | None) -> list[Order]:
    return [order for order in account.open_orders.values() if symbol is None or order.symbol == symbol]


def time_range(params: Params) -> tuple[int | None, int | None]:
    """Raises: IntervalTooLong if it is more than a day."""
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise IntervalTooLong(hours=24)
    return start, end


def _generated_id() -> str:
    return secrets.token_urlsafe(16)


ROUTES = [
    Route("POST", "/api/v3/order", place),
    Route("POST", "/api/v3/order/test", test),
    Route("GET", "/api/v3/order", find, weight=4),
    Route("DELETE", "/api/v3/order", cancel),
    Route("GET", "/api/v3/openOrders", list_open, weight=lambda params: 6 if params.has("symbol") else 80),
    Route("DELETE", "/api/v3/openOrders", cancel_all),
    Route("GET", "/api/v3/allOrders", list_all, weight=20),
]
