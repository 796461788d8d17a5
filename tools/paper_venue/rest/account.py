"""The account: balances, own trades, commission rates and order counts."""

from __future__ import annotations

from typing import Any

from tools.paper_venue.amounts import text
from tools.paper_venue.errors import BadCombination
from tools.paper_venue.rest import views
from tools.paper_venue.rest.call import Call, Route
from tools.paper_venue.rest.trading import time_range

BASIS_POINTS = 10_000


def show(call: Call) -> dict[str, Any]:
    only_held = call.params.flag("omitZeroBalances")
    call.params.finish()
    commission = call.venue.engine.commission
    maker, taker = int(commission.maker * BASIS_POINTS), int(commission.taker * BASIS_POINTS)
    return {
        "makerCommission": maker,
        "takerCommission": taker,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": text(commission.maker),
            "taker": text(commission.taker),
            "buyer": "0.00000000",
            "seller": "0.00000000",
        },
        "canTrade": call.can_trade,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": call.account.updated_at_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text(balance.free), "locked": text(balance.locked)}
            for asset, balance in call.account.spot.items()
            if not only_held or balance.free or balance.locked
        ],
        "permissions": ["SPOT"],
        "uid": call.venue.state.account_id(call.account_name),
    }


def list_trades(call: Call) -> list[dict[str, Any]]:
    """The account's trades in a symbol, oldest first: of an order, from an id on, within a day, or the latest."""
    params = call.params
    symbol = params.symbol()
    order_id, from_id = params.integer("orderId"), params.integer("fromId")
    start, end = time_range(params)
    limit = params.limit()
    params.finish()
    if from_id is not None and (start is not None or end is not None):
        raise BadCombination
    if order_id is not None:
        found = call.visible.trades_of_order(account=call.account_name, symbol=symbol.name, order_id=order_id)
    else:
        found = call.visible.trades_of(account=call.account_name, symbol=symbol.name, from_id=from_id or 0)
    trades = [
        trade
        for trade in found
        if trade.trade_id >= (from_id or 0)
        and (start is None or trade.at_ms >= start)
        and (end is None or trade.at_ms <= end)
    ]
    is_forward = order_id is not None or from_id is not None or start is not None
    return [views.account_trade(trade) for trade in (trades[:limit] if is_forward else trades[-limit:])]


def show_commission(call: Call) -> dict[str, Any]:
    symbol = call.params.symbol()
    call.params.finish()
    commission = call.venue.engine.commission
    none = {"maker": "0.00000000", "taker": "0.00000000", "buyer": "0.00000000", "seller": "0.00000000"}
    return {
        "symbol": symbol.name,
        "standardCommission": {**none, "maker": text(commission.maker), "taker": text(commission.taker)},
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": call.account.burns_bnb,
            "enabledForSymbol": True,
            "discountAsset": "BNB",
            "discount": "0.25000000",
        },
    }


def show_order_counts(call: Call) -> list[dict[str, Any]]:
    call.params.finish()
    limits = call.venue.limits
    ten_seconds, day = limits.orders_used(account=call.account_name, now_ms=call.now_ms)
    return [
        {
            "rateLimitType": "ORDERS",
            "interval": "SECOND",
            "intervalNum": 10,
            "limit": limits.settings.orders_per_10s,
            "count": ten_seconds,
        },
        {
            "rateLimitType": "ORDERS",
            "interval": "DAY",
            "intervalNum": 1,
            "limit": limits.settings.orders_per_day,
            "count": day,
        },
    ]


ROUTES = [
    Route("GET", "/api/v3/account", show, weight=20),
    Route("GET", "/api/v3/myTrades", list_trades, weight=lambda params: 5 if params.has("orderId") else 20),
    Route("GET", "/api/v3/account/commission", show_commission, weight=20),
    Route("GET", "/api/v3/rateLimit/order", show_order_counts, weight=40),
]
