"""Candles and the statistics of the last day."""

from __future__ import annotations

from typing import Any

from tools.paper_venue.amounts import text
from tools.paper_venue.candles import INTERVAL_MINUTES, MINUTE_MS, Candle
from tools.paper_venue.errors import InvalidInterval, InvalidParameter
from tools.paper_venue.market import Market
from tools.paper_venue.records import Side
from tools.paper_venue.rest.call import Call, Route, Security
from tools.paper_venue.rest.market_data import each, market_of, single_weight
from tools.paper_venue.symbols import Symbol

DAY_MS = 86_400_000
HUNDRED = 100


def klines(call: Call) -> list[list[Any]]:
    params = call.params
    symbol = params.symbol()
    minutes = INTERVAL_MINUTES.get(params.required("interval"))
    start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
    limit = params.limit()
    params.text("timeZone")
    params.finish()
    if minutes is None:
        raise InvalidInterval
    market = market_of(call, symbol)
    market.candles.roll(now_ms=call.now_ms)
    interval_ms = minutes * MINUTE_MS
    found = market.candles.candles(interval_ms=interval_ms, start_ms=start_ms, end_ms=end_ms, limit=limit)
    return [_kline(candle, interval_ms) for candle in found]


def day_statistics(call: Call) -> Any:
    is_mini = (call.params.text("type") or "FULL").upper()
    if is_mini not in ("FULL", "MINI"):
        raise InvalidParameter("type")
    render = _mini_statistics if is_mini == "MINI" else _full_statistics
    return each(call, lambda symbol, market: render(call, symbol, market))


def _kline(candle: Candle, interval_ms: int) -> list[Any]:
    return [
        candle.open_at_ms,
        text(candle.open),
        text(candle.high),
        text(candle.low),
        text(candle.close),
        text(candle.volume),
        candle.open_at_ms + interval_ms - 1,
        text(candle.quote_volume),
        candle.trades,
        text(candle.taker_buy_volume),
        text(candle.taker_buy_quote_volume),
        "0",
    ]


def _mini_statistics(call: Call, symbol: Symbol, market: Market) -> dict[str, Any]:
    market.candles.roll(now_ms=call.now_ms)
    day = market.candles.last_day()
    first_id = market.prints[0][0] if market.prints else -1
    last_id = market.prints[-1][0] if market.prints else -1
    return {
        "symbol": symbol.name,
        "openPrice": text(day.open),
        "highPrice": text(day.high),
        "lowPrice": text(day.low),
        "lastPrice": text(market.last_price),
        "volume": text(day.volume),
        "quoteVolume": text(day.quote_volume),
        "openTime": call.now_ms - DAY_MS,
        "closeTime": call.now_ms,
        "firstId": first_id,
        "lastId": last_id,
        "count": day.trades,
    }


def _full_statistics(call: Call, symbol: Symbol, market: Market) -> dict[str, Any]:
    day = market.candles.last_day()
    bid, ask = market.best(Side.SELL), market.best(Side.BUY)
    change = market.last_price - day.open
    average = day.quote_volume / day.volume if day.volume else market.last_price
    return {
        **_mini_statistics(call, symbol, market),
        "priceChange": text(change),
        "priceChangePercent": f"{change / day.open * HUNDRED:.3f}",
        "weightedAvgPrice": text(average),
        "prevClosePrice": text(day.open),
        "lastQty": text(market.prints[-1][1].quantity if market.prints else symbol.step),
        "bidPrice": text(bid.price),
        "bidQty": text(bid.quantity),
        "askPrice": text(ask.price),
        "askQty": text(ask.quantity),
    }


ROUTES = [
    Route("GET", "/api/v3/klines", klines, weight=2, security=Security.NONE),
    Route("GET", "/api/v3/uiKlines", klines, weight=2, security=Security.NONE),
    Route("GET", "/api/v3/ticker/24hr", day_statistics, weight=single_weight(2, 80), security=Security.NONE),
]
