"""A recording played again as a price source.

Book tickers give the quote where there are any, else trades, else candles; trades, where recorded, are the prints.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from decimal import Decimal

from tools.paper_venue.amounts import round_down
from tools.paper_venue.prices.quotes import Print, Quote
from tools.paper_venue.prices.random_walk import spread_around
from tools.paper_venue.prices.recording import CANDLE_MS, Recording, RecordingKind
from tools.paper_venue.prices.timeline import Position, Timeline
from tools.paper_venue.symbols import Symbol

PRINTS_AT_ONCE = 1_000
QUOTE_ORDER = (RecordingKind.BOOK_TICKERS, RecordingKind.TRADES, RecordingKind.CANDLES)


class Replay:
    """A price source; see the module."""

    def __init__(
        self,
        *,
        symbol: Symbol,
        recordings: Sequence[Recording],
        timeline: Timeline,
        spread_bps: Decimal,
        now_ms: int,
    ) -> None:
        self._symbol = symbol
        self._timeline = timeline
        self._spread_bps = spread_bps
        by_kind = {item.kind: item for item in recordings}
        self._quotes = next(by_kind[kind] for kind in QUOTE_ORDER if kind in by_kind)
        self._trades = by_kind.get(RecordingKind.TRADES)
        self._position = timeline.position(now_ms=now_ms)
        self.quote = self._quote_at(self._position.at_ms)

    def advance(self, *, now_ms: int) -> list[Print]:
        earlier, self._position = self._position, self._timeline.position(now_ms=now_ms)
        if self._position == earlier:
            return []
        before, self.quote = self.quote, self._quote_at(self._position.at_ms)
        if self._trades is not None:
            return self._recorded_prints(self._trades, earlier, now_ms)
        if self.quote == before:
            return []
        return [self._print_of_move(before, now_ms)]

    def _quote_at(self, at_ms: int) -> Quote:
        recording = self._quotes
        number = max(0, bisect.bisect_right(recording.times_ms, at_ms) - 1)
        row = recording.rows[number]
        match recording.kind:
            case RecordingKind.BOOK_TICKERS:
                bid, bid_quantity, ask, ask_quantity = row
                return Quote(bid, ask, bid_quantity, ask_quantity)
            case RecordingKind.TRADES:
                price, _, is_buyer_maker = row
                return self._quote_of_trade(price, is_buyer_maker=is_buyer_maker == 1)
            case RecordingKind.CANDLES:
                mid = price_within(row, elapsed_ms=at_ms - recording.times_ms[number])
                return spread_around(mid=mid, spread_bps=self._spread_bps, tick=self._symbol.tick)

    def _quote_of_trade(self, price: Decimal, *, is_buyer_maker: bool) -> Quote:
        """The trade was at the bid if the taker sold, else at the ask; the other side is a tick away.

        A wider spread would make the quote bounce with every change of the taker's side.
        """
        tick = self._symbol.tick
        return Quote(price, price + tick) if is_buyer_maker else Quote(price - tick, price)

    def _recorded_prints(self, trades: Recording, earlier: Position, now_ms: int) -> list[Print]:
        is_same_round = earlier.round == self._position.round
        start = bisect.bisect_right(trades.times_ms, earlier.at_ms) if is_same_round else 0
        end = bisect.bisect_right(trades.times_ms, self._position.at_ms)
        return [
            Print(price, quantity, is_buyer_maker == 1, now_ms)
            for price, quantity, is_buyer_maker in trades.rows[max(start, end - PRINTS_AT_ONCE) : end]
        ]

    def _print_of_move(self, before: Quote, now_ms: int) -> Print:
        """A trade of the smallest size on the side the price went to: recordings without trades have no others."""
        is_up = self.quote.mid >= before.mid
        return Print(self.quote.ask if is_up else self.quote.bid, self._symbol.step, not is_up, now_ms)


def price_within(row: tuple[Decimal, ...], *, elapsed_ms: int) -> Decimal:
    """The price within a candle: straight from open over both extremes to close.

    A rising candle visits its low first, a falling one its high, each extreme at a third of the time.
    """
    opened, high, low, closed, _ = row
    path = (opened, low, high, closed) if closed >= opened else (opened, high, low, closed)
    third = Decimal(CANDLE_MS) / 3
    number = min(2, int(elapsed_ms // third))
    part = min(Decimal(1), (elapsed_ms - number * third) / third)
    start, end = path[number], path[number + 1]
    return round_down(start + (end - start) * part, step=Decimal("0.0001"))
