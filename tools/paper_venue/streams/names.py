"""Names of market streams, as subscriptions and addresses carry them: `btcusdt@depth@100ms`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tools.paper_venue.candles import INTERVAL_MINUTES
from tools.paper_venue.symbols import SYMBOLS

SLOW_DEPTH_MS, FAST_DEPTH_MS = 1_000, 100
_DEPTH = re.compile(r"depth(?P<levels>5|10|20)?(?:@(?P<speed>100|1000)ms)?")


class StreamKind(StrEnum):
    """What a stream tells of a market."""

    BOOK_TICKER = "bookTicker"
    TRADE = "trade"
    AGGREGATE_TRADE = "aggTrade"
    DEPTH = "depth"  # changes of the book
    LEVELS = "levels"  # its first levels, whole
    CANDLE = "kline"


@dataclass(frozen=True, slots=True)
class Stream:
    """One market stream; `every_ms` between messages of depth, `levels` of a whole book, `interval` of candles."""

    name: str
    symbol: str
    kind: StreamKind
    every_ms: int = 0
    levels: int = 0
    interval: str = ""


def read_name(name: str) -> Stream | None:
    """The stream of that name, or None if there is none."""
    pair, _, what = name.partition("@")
    symbol = pair.upper()
    if pair != pair.lower() or symbol not in SYMBOLS:
        return None
    if what in (StreamKind.BOOK_TICKER, StreamKind.TRADE, StreamKind.AGGREGATE_TRADE):
        return Stream(name, symbol, StreamKind(what))
    if what.startswith("kline_") and (interval := what.removeprefix("kline_")) in INTERVAL_MINUTES:
        return Stream(name, symbol, StreamKind.CANDLE, interval=interval)
    if found := _DEPTH.fullmatch(what):
        speed = int(found["speed"] or SLOW_DEPTH_MS)
        if found["levels"] is None:
            return Stream(name, symbol, StreamKind.DEPTH, every_ms=speed)
        return Stream(name, symbol, StreamKind.LEVELS, every_ms=speed, levels=int(found["levels"]))
    return None
