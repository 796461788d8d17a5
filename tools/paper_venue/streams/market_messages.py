"""Messages of market streams. Source: Binance Spot API documentation, "WebSocket Streams"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tools.paper_venue.amounts import text
from tools.paper_venue.candles import Candle
from tools.paper_venue.market import Market
from tools.paper_venue.matching import Level
from tools.paper_venue.prices.quotes import Print
from tools.paper_venue.records import Side

NO_TRADE = -1


def book_ticker(market: Market) -> dict[str, Any]:
    """The best bid and ask. It carries no time; `u` grows with every change of the book."""
    bid, ask = market.best(Side.SELL), market.best(Side.BUY)
    return {
        "u": market.update_id,
        "s": market.symbol.name,
        "b": text(bid.price),
        "B": text(bid.quantity),
        "a": text(ask.price),
        "A": text(ask.quantity),
    }


def trade(symbol: str, number: int, item: Print, now_ms: int) -> dict[str, Any]:
    return {
        "e": "trade",
        "E": now_ms,
        "s": symbol,
        "t": number,
        "p": text(item.price),
        "q": text(item.quantity),
        "T": item.at_ms,
        "m": item.is_buyer_maker,
        "M": True,
    }


def aggregate_trade(symbol: str, number: int, item: Print, now_ms: int) -> dict[str, Any]:
    """Each print on its own, as `GET aggTrades` has them."""
    return {
        "e": "aggTrade",
        "E": now_ms,
        "s": symbol,
        "a": number,
        "p": text(item.price),
        "q": text(item.quantity),
        "f": number,
        "l": number,
        "T": item.at_ms,
        "m": item.is_buyer_maker,
        "M": True,
    }


def depth_update(
    symbol: str, *, first_id: int, last_id: int, bids: Sequence[Level], asks: Sequence[Level], now_ms: int
) -> dict[str, Any]:
    """Levels with their new quantities, 0 for those that are gone, since the message before."""
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "s": symbol,
        "U": first_id,
        "u": last_id,
        "b": _levels(bids),
        "a": _levels(asks),
    }


def first_levels(market: Market, count: int) -> dict[str, Any]:
    return {
        "lastUpdateId": market.update_id,
        "bids": _levels(market.levels(Side.SELL, limit=count)),
        "asks": _levels(market.levels(Side.BUY, limit=count)),
    }


def kline(
    market: Market, candle: Candle, *, interval: str, interval_ms: int, is_closed: bool, now_ms: int
) -> dict[str, Any]:
    close_at_ms = candle.open_at_ms + interval_ms - 1
    ids = [number for number, item in market.prints if candle.open_at_ms <= item.at_ms <= close_at_ms]
    return {
        "e": "kline",
        "E": now_ms,
        "s": market.symbol.name,
        "k": {
            "t": candle.open_at_ms,
            "T": close_at_ms,
            "s": market.symbol.name,
            "i": interval,
            "f": ids[0] if ids else NO_TRADE,
            "L": ids[-1] if ids else NO_TRADE,
            "o": text(candle.open),
            "c": text(candle.close),
            "h": text(candle.high),
            "l": text(candle.low),
            "v": text(candle.volume),
            "n": candle.trades,
            "x": is_closed,
            "q": text(candle.quote_volume),
            "V": text(candle.taker_buy_volume),
            "Q": text(candle.taker_buy_quote_volume),
            "B": "0",
        },
    }


def _levels(levels: Sequence[Level]) -> list[list[str]]:
    return [[text(level.price), text(level.quantity)] for level in levels]
