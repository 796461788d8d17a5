"""Public market data: exchange information, tickers, depth, trades."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tools.paper_venue.amounts import text
from tools.paper_venue.errors import BadCombination, InvalidParameter, ParameterMissing
from tools.paper_venue.market import Market
from tools.paper_venue.prices.quotes import Print
from tools.paper_venue.records import Side
from tools.paper_venue.rest.call import Call, Route, Security
from tools.paper_venue.rest.params import Params, find_symbol
from tools.paper_venue.symbols import AVERAGE_PRICE_MINUTES, SYMBOLS, Symbol


def ping(call: Call) -> dict[str, Any]:
    return {}


def server_time(call: Call) -> dict[str, Any]:
    return {"serverTime": call.now_ms}


def exchange_info(call: Call) -> dict[str, Any]:
    symbols = _wanted(call.params) or list(SYMBOLS.values())
    for name in ("permissions", "showPermissionSets", "symbolStatus"):
        call.params.text(name)
    call.params.finish()
    settings = call.venue.limits.settings
    limits = (
        ("REQUEST_WEIGHT", "MINUTE", 1, settings.weight_per_minute),
        ("ORDERS", "SECOND", 10, settings.orders_per_10s),
        ("ORDERS", "DAY", 1, settings.orders_per_day),
    )
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
            for kind, interval, number, limit in limits
        ],
        "exchangeFilters": [],
        "symbols": [call.venue.engine.markets[symbol.name].symbol.info for symbol in symbols],
    }


def price(call: Call) -> Any:
    return each(call, lambda symbol, market: {"symbol": symbol.name, "price": text(market.last_price)})


def book_ticker(call: Call) -> Any:
    return each(call, _book_ticker)


def average_price(call: Call) -> dict[str, Any]:
    market = market_of(call, call.params.symbol())
    call.params.finish()
    return {
        "mins": AVERAGE_PRICE_MINUTES,
        "price": text(market.average_price),
        "closeTime": call.now_ms,
    }


def depth(call: Call) -> dict[str, Any]:
    market = market_of(call, call.params.symbol())
    limit = call.params.limit(default=100, largest=5000)
    call.params.text("symbolStatus")
    call.params.finish()
    if market.snapshot_taken is not None:
        market.snapshot_taken()
    return {
        "lastUpdateId": market.update_id,
        "bids": [
            [text(level.price), text(level.quantity)] for level in market.levels(Side.SELL, limit=limit)
        ],
        "asks": [[text(level.price), text(level.quantity)] for level in market.levels(Side.BUY, limit=limit)],
    }


def trades(call: Call) -> list[dict[str, Any]]:
    market = market_of(call, call.params.symbol())
    limit, from_id = call.params.limit(), call.params.integer("fromId")
    call.params.finish()
    found = [(number, item) for number, item in market.prints if from_id is None or number >= from_id]
    return [_trade(number, item) for number, item in (found[-limit:] if from_id is None else found[:limit])]


def aggregate_trades(call: Call) -> list[dict[str, Any]]:
    """Each print on its own: this venue has no two prints of one taker at one price."""
    market = market_of(call, call.params.symbol())
    limit, from_id = call.params.limit(), call.params.integer("fromId")
    start, end = call.params.integer("startTime"), call.params.integer("endTime")
    call.params.finish()
    if from_id is not None and (start is not None or end is not None):
        raise BadCombination
    found = [
        (number, item)
        for number, item in market.prints
        if (from_id is None or number >= from_id)
        and (start is None or item.at_ms >= start)
        and (end is None or item.at_ms <= end)
    ]
    is_forward = from_id is not None or start is not None
    return [_aggregate(number, item) for number, item in (found[:limit] if is_forward else found[-limit:])]


def _book_ticker(symbol: Symbol, market: Market) -> dict[str, Any]:
    bid, ask = market.best(Side.SELL), market.best(Side.BUY)
    return {
        "symbol": symbol.name,
        "bidPrice": text(bid.price),
        "bidQty": text(bid.quantity),
        "askPrice": text(ask.price),
        "askQty": text(ask.quantity),
    }


def _trade(number: int, item: Print) -> dict[str, Any]:
    return {
        "id": number,
        "price": text(item.price),
        "qty": text(item.quantity),
        "quoteQty": text(item.price * item.quantity),
        "time": item.at_ms,
        "isBuyerMaker": item.is_buyer_maker,
        "isBestMatch": True,
    }


def _aggregate(number: int, item: Print) -> dict[str, Any]:
    return {
        "a": number,
        "p": text(item.price),
        "q": text(item.quantity),
        "f": number,
        "l": number,
        "T": item.at_ms,
        "m": item.is_buyer_maker,
        "M": True,
    }


def each(call: Call, render: Callable[[Symbol, Market], dict[str, Any]]) -> Any:
    """One object for ``symbol``, a list for ``symbols`` or for none named."""
    is_single = call.params.has("symbol")
    symbols = _wanted(call.params) or list(SYMBOLS.values())
    call.params.text("symbolStatus")
    call.params.finish()
    rendered = [render(symbol, market_of(call, symbol)) for symbol in symbols]
    return rendered[0] if is_single else rendered


def _wanted(params: Params) -> list[Symbol]:
    """The symbols named by ``symbol`` or ``symbols``; none if neither was sent.

    Raises: BadCombination, InvalidSymbol, InvalidParameter.
    """
    if params.has("symbol") and params.has("symbols"):
        raise BadCombination
    if params.has("symbol"):
        return [params.symbol()]
    listed = params.text("symbols")
    if listed is None:
        return []
    try:
        names = json.loads(listed)
    except ValueError:
        raise InvalidParameter("symbols") from None
    if not isinstance(names, list) or not names:
        raise ParameterMissing("symbols")
    return [find_symbol(str(name)) for name in names]


def market_of(call: Call, symbol: Symbol) -> Market:
    call.venue.engine.advance(symbol=symbol.name, now_ms=call.now_ms)
    return call.venue.engine.markets[symbol.name]


def depth_weight(params: Params) -> int:
    limit = params.limit(default=100, largest=5000)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def single_weight(one: int, many: int) -> Callable[[Params], int]:
    return lambda params: one if params.has("symbol") else many


ROUTES = [
    Route("GET", "/api/v3/ping", ping, weight=1, security=Security.NONE),
    Route("GET", "/api/v3/time", server_time, weight=1, security=Security.NONE),
    Route("GET", "/api/v3/exchangeInfo", exchange_info, weight=20, security=Security.NONE),
    Route("GET", "/api/v3/ticker/price", price, weight=single_weight(2, 4), security=Security.NONE),
    Route(
        "GET", "/api/v3/ticker/bookTicker", book_ticker, weight=single_weight(2, 4), security=Security.NONE
    ),
    Route("GET", "/api/v3/avgPrice", average_price, weight=2, security=Security.NONE),
    Route("GET", "/api/v3/depth", depth, weight=depth_weight, security=Security.NONE),
    Route("GET", "/api/v3/trades", trades, weight=25, security=Security.NONE),
    Route("GET", "/api/v3/historicalTrades", trades, weight=25, security=Security.NONE),
    Route("GET", "/api/v3/aggTrades", aggregate_trades, weight=4, security=Security.NONE),
]
