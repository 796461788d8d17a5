"""What is to be told of a market's streams by now: nothing is rendered before it is known that it is to be sent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from tools.paper_venue.amounts import ZERO
from tools.paper_venue.candles import INTERVAL_MINUTES, MINUTE_MS
from tools.paper_venue.market import Market
from tools.paper_venue.matching import Level
from tools.paper_venue.prices.quotes import Print
from tools.paper_venue.records import Side
from tools.paper_venue.streams import market_messages
from tools.paper_venue.streams.names import Stream, StreamKind

CANDLE_EVERY_MS = 2_000

# A message is rendered when it is sent, from the book as a fault may show it then; None: there is nothing new in it.
Render = Callable[[], dict[str, Any] | None]


class Topic(Protocol):
    """One stream that somebody listens to."""

    def due(self, *, now_ms: int) -> list[Render]:
        """The messages that are due, oldest first."""

    def note(self, trade_id: int, item: Print) -> None:
        """A public trade of the market."""


class BookTickers:
    """The top of the book, whenever it has changed."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._seen = market.update_id
        self._sent: list[str] = []

    def due(self, *, now_ms: int) -> list[Render]:
        if self._market.update_id == self._seen:
            return []
        self._seen = self._market.update_id
        return [self._render]

    def note(self, trade_id: int, item: Print) -> None:
        pass

    def _render(self) -> dict[str, Any] | None:
        message = market_messages.book_ticker(self._market)
        top = [message[name] for name in "bBaA"]
        if top == self._sent and self._market.shown is None:
            return None  # something changed behind it
        self._sent = top
        return message


class Trades:
    """Every public trade."""

    def __init__(self, market: Market, stream: Stream) -> None:
        self._symbol = market.symbol.name
        is_aggregate = stream.kind is StreamKind.AGGREGATE_TRADE
        self._render = market_messages.aggregate_trade if is_aggregate else market_messages.trade
        self._prints: list[tuple[int, Print]] = []

    def due(self, *, now_ms: int) -> list[Render]:
        prints, self._prints = self._prints, []
        return [partial(self._render, self._symbol, number, item, now_ms) for number, item in prints]

    def note(self, trade_id: int, item: Print) -> None:
        self._prints.append((trade_id, item))


class Depth:
    """What has changed of the book's levels, at intervals.

    The ids of its messages continue each other, and a level's quantity is always the whole of it: applied to a snapshot
    of `GET depth`, as Binance describes it, they give the book. So a message has also what came and went since the one
    before: the snapshot may be of a moment in between.
    """

    def __init__(self, market: Market, stream: Stream, *, now_ms: int) -> None:
        self._market = market
        self._every_ms = stream.every_ms
        self._next_ms = now_ms + stream.every_ms
        self._told_id = self._known_id = market.update_id
        self._known = self._ladders()
        self._changed: dict[Side, set[Decimal]] = {side: set() for side in Side}

    def due(self, *, now_ms: int) -> list[Render]:
        if self._market.update_id != self._known_id:
            self._compare()
        if now_ms < self._next_ms or self._market.update_id == self._told_id:
            return []
        self._next_ms = now_ms + self._every_ms
        return [partial(self._render, now_ms)]

    def note(self, trade_id: int, item: Print) -> None:
        pass

    def _render(self, now_ms: int) -> dict[str, Any]:
        self._compare()
        first_id, self._told_id = self._told_id + 1, self._market.update_id
        return market_messages.depth_update(
            self._market.symbol.name,
            first_id=first_id,
            last_id=self._told_id,
            bids=self._take_changes(Side.SELL),
            asks=self._take_changes(Side.BUY),
            now_ms=now_ms,
        )

    def _compare(self) -> None:
        """Take note of the prices at which something is different now."""
        before, self._known, self._known_id = self._known, self._ladders(), self._market.update_id
        for side, changed in self._changed.items():
            changed |= {price for price, _ in before[side].items() ^ self._known[side].items()}

    def _take_changes(self, side: Side) -> list[Level]:
        prices, self._changed[side] = self._changed[side], set()
        return [Level(price, self._known[side].get(price, ZERO)) for price in sorted(prices)]

    def _ladders(self) -> dict[Side, dict[Decimal, Decimal]]:
        return {side: {level.price: level.quantity for level in self._market.levels(side)} for side in Side}


class FirstLevels:
    """The first levels of the book, whole, at intervals."""

    def __init__(self, market: Market, stream: Stream, *, now_ms: int) -> None:
        self._market = market
        self._stream = stream
        self._next_ms = now_ms + stream.every_ms
        self._seen = -1

    def due(self, *, now_ms: int) -> list[Render]:
        if now_ms < self._next_ms or self._market.update_id == self._seen:
            return []
        self._next_ms, self._seen = now_ms + self._stream.every_ms, self._market.update_id
        return [partial(market_messages.first_levels, self._market, self._stream.levels)]

    def note(self, trade_id: int, item: Print) -> None:
        pass


class Candles:
    """The present candle while it changes, and each once more when it is closed."""

    def __init__(self, market: Market, stream: Stream, *, now_ms: int) -> None:
        self._market = market
        self._interval = stream.interval
        self._interval_ms = INTERVAL_MINUTES[stream.interval] * MINUTE_MS
        self._open_at_ms = self._beginning(now_ms)
        self._next_ms = now_ms + CANDLE_EVERY_MS

    def due(self, *, now_ms: int) -> list[Render]:
        opened = self._beginning(now_ms)
        if now_ms < self._next_ms and opened == self._open_at_ms:
            return []
        closed = range(self._open_at_ms, opened, self._interval_ms)
        self._open_at_ms, self._next_ms = opened, now_ms + CANDLE_EVERY_MS
        return [
            *(partial(self._render, at_ms, is_closed=True, now_ms=now_ms) for at_ms in closed),
            partial(self._render, opened, is_closed=False, now_ms=now_ms),
        ]

    def note(self, trade_id: int, item: Print) -> None:
        pass

    def _beginning(self, now_ms: int) -> int:
        return now_ms - now_ms % self._interval_ms

    def _render(self, open_at_ms: int, *, is_closed: bool, now_ms: int) -> dict[str, Any] | None:
        candles = self._market.candles
        candles.roll(now_ms=now_ms)
        found = candles.candles(
            interval_ms=self._interval_ms,
            start_ms=open_at_ms,
            end_ms=open_at_ms + self._interval_ms - 1,
            limit=1,
        )
        if not found:
            return None
        return market_messages.kline(
            self._market,
            found[0],
            interval=self._interval,
            interval_ms=self._interval_ms,
            is_closed=is_closed,
            now_ms=now_ms,
        )


def topic_of(stream: Stream, market: Market, *, now_ms: int) -> Topic:
    """The topic of a stream that is listened to from now on."""
    match stream.kind:
        case StreamKind.BOOK_TICKER:
            return BookTickers(market)
        case StreamKind.TRADE | StreamKind.AGGREGATE_TRADE:
            return Trades(market, stream)
        case StreamKind.DEPTH:
            return Depth(market, stream, now_ms=now_ms)
        case StreamKind.LEVELS:
            return FirstLevels(market, stream, now_ms=now_ms)
        case StreamKind.CANDLE:
            return Candles(market, stream, now_ms=now_ms)
