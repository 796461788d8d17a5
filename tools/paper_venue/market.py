"""One symbol's market: a synthetic book around the moving price.

Depth is a ladder of levels below the bid and above the ask. What a taker removes is missing from the front of the
ladder and comes back evenly over time, so a second order soon after the first pays more: liquidity is never free.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from tools.paper_venue.amounts import ONE, ZERO, round_down
from tools.paper_venue.candles import CandleBook
from tools.paper_venue.errors import ApiError
from tools.paper_venue.matching import Level
from tools.paper_venue.prices.quotes import PriceSource, Print, Quote
from tools.paper_venue.records import Side
from tools.paper_venue.symbols import AVERAGE_PRICE_MINUTES, Symbol

BASIS_POINTS = Decimal(10_000)
PRINTS_KEPT = 1_000
AVERAGE_EVERY_MS = 1_000
JITTERS = 997


@dataclass(frozen=True, slots=True)
class DepthShape:
    """The ladder: levels a side, their distance, the value at the best price and its growth from level to level."""

    levels: int = 20
    gap_bps: Decimal = Decimal("0.3")
    best_usdt: Decimal = Decimal("50000")
    growth: Decimal = Decimal("1.15")
    refill_seconds: Decimal = Decimal("2")


class Market:
    """The moving book of one symbol. Times never run backwards."""

    def __init__(
        self, *, symbol: Symbol, source: PriceSource, depth: DepthShape, seed: int, now_ms: int
    ) -> None:
        self.symbol = symbol
        self.prints: deque[tuple[int, Print]] = deque(maxlen=PRINTS_KEPT)
        self.depth_factor = ONE
        self.shown: Callable[[Quote], Quote] | None = None  # what a fault makes of the quote for one request
        self.pieces = 1  # trades that one level gives an order
        self.refusal: ApiError | None = None  # what every order is refused with
        self.printed: Callable[[int, Print], None] | None = None  # is told each public trade with its id
        self.snapshot_taken: Callable[[], None] | None = None  # is told when somebody gets the whole book
        self.update_id = 1
        self._quotes = 0
        self._source = source
        self._depth = depth
        self._scale = ONE
        self._pinned: Quote | None = None
        self._now_ms = now_ms
        self._missing = {Side.BUY: ZERO, Side.SELL: ZERO}
        rng = random.Random(f"{seed}:{symbol.name}:depth")
        self._jitter = [Decimal(rng.randrange(60, 141)) / 100 for _ in range(JITTERS)]
        self._growths = [depth.growth**level for level in range(depth.levels)]
        self._averages: deque[tuple[int, Decimal]] = deque()
        self._average_sum = ZERO
        self.quote = self._current_quote()
        self.last_price = self.quote.bid
        self.candles = CandleBook(symbol=symbol, price=self.last_price, seed=seed, now_ms=now_ms)
        self._note_average()

    def advance(self, *, now_ms: int) -> list[Print]:
        """Move the price to ``now_ms``, refill the book, and return the public trades of the meantime."""
        elapsed_ms = max(0, now_ms - self._now_ms)
        self._now_ms = max(now_ms, self._now_ms)
        self._refill(elapsed_ms)
        prints = self._source.advance(now_ms=self._now_ms)
        quote = self._current_quote()
        if quote != self.quote:
            self._change_quote(quote)
        self._note_average()
        return [] if self._pinned else [self._scaled(item) for item in prints]

    def record_print(self, *, trade_id: int, item: Print) -> None:
        self.prints.append((trade_id, item))
        self.last_price = item.price
        self.candles.add(item)
        if self.printed is not None:
            self.printed(trade_id, item)

    @property
    def average_price(self) -> Decimal:
        """The mean mid price of the last five minutes, which filters are measured against."""
        return self._average_sum / len(self._averages)

    def levels(self, side: Side, *, limit: int | None = None) -> list[Level]:
        """What an order of ``side`` would meet, best price first."""
        missing = self._missing[side]
        levels: list[Level] = []
        for level in self._ladder(side):
            quantity = level.quantity - missing
            missing = max(ZERO, -quantity)
            if quantity > 0:
                levels.append(Level(level.price, quantity))
                if limit is not None and len(levels) >= limit:
                    break
        return levels

    def best(self, side: Side) -> Level:
        """The first of these levels; price and quantity zero, as Binance prints it, once all is taken."""
        return next(iter(self.levels(side, limit=1)), Level(ZERO, ZERO))

    def take(self, side: Side, *, quantity: Decimal) -> None:
        """A taker of ``side`` removed ``quantity`` from the front of the book."""
        self._missing[side] += quantity
        self.update_id += 1

    def pin(self, *, price: Decimal) -> Print:
        """Hold the price: one tick of spread around it, while the source moves."""
        bid = round_down(price, step=self.symbol.tick)
        self._pinned = Quote(bid=bid, ask=bid + self.symbol.tick)
        return self._moved()

    def unpin(self) -> Print:
        """Let the price go where the source is by now."""
        self._pinned = None
        return self._moved()

    def jump(self, *, factor: Decimal) -> Print:
        """Move the price by a factor; it goes on moving from there."""
        self._scale *= factor
        return self._moved()

    def _moved(self) -> Print:
        """The new quote at once, and the smallest trade at it, so that every price the venue tells agrees."""
        self._change_quote(self._current_quote())
        return Print(self.quote.bid, self.symbol.step, True, self._now_ms)

    def _change_quote(self, quote: Quote) -> None:
        self.quote = quote
        self._quotes += 1
        self.update_id += 1

    def _ladder(self, side: Side) -> list[Level]:
        tick, step = self.symbol.tick, self.symbol.step
        quote = self.quote if self.shown is None else self.shown(self.quote)
        best, quoted = (
            (quote.ask, quote.ask_quantity) if side is Side.BUY else (quote.bid, quote.bid_quantity)
        )
        if not best:
            return []
        gap = max(tick, round_down(best * self._depth.gap_bps / BASIS_POINTS, step=tick))
        away = gap if side is Side.BUY else -gap
        usual = self._depth.best_usdt / best * self.depth_factor
        offset = self._quotes * 31 + (7 if side is Side.BUY else 0)
        ladder: list[Level] = []
        for number, growth in enumerate(self._growths):
            quantity = usual * growth * self._jitter[(offset + number) % JITTERS]
            if number == 0 and quoted is not None:
                quantity = quoted * self.depth_factor
            ladder.append(Level(best + away * number, max(step, round_down(quantity, step=step))))
        return [level for level in ladder if level.price > 0]

    def _refill(self, elapsed_ms: int) -> None:
        if not any(self._missing.values()):
            return
        self.update_id += 1
        if self._depth.refill_seconds == 0:
            self._missing = dict.fromkeys(self._missing, ZERO)
        for side, missing in self._missing.items():
            if missing > 0:
                total = self._depth.best_usdt / self.quote.mid * sum(self._growths, ZERO)
                refilled = total * elapsed_ms / (self._depth.refill_seconds * 1000)
                self._missing[side] = round_down(max(ZERO, missing - refilled), step=self.symbol.step)

    def _current_quote(self) -> Quote:
        if self._pinned:
            return self._pinned
        quote = self._source.quote
        if self._scale == ONE:
            return quote
        tick = self.symbol.tick
        bid = max(tick, round_down(quote.bid * self._scale, step=tick))
        ask = max(bid + tick, round_down(quote.ask * self._scale, step=tick))
        return quote._replace(bid=bid, ask=ask)

    def _scaled(self, item: Print) -> Print:
        if self._scale == ONE:
            return item
        return item._replace(price=round_down(item.price * self._scale, step=self.symbol.tick))

    def _note_average(self) -> None:
        averages = self._averages
        if averages and self._now_ms - averages[-1][0] < AVERAGE_EVERY_MS:
            return
        averages.append((self._now_ms, self.quote.mid))
        self._average_sum += self.quote.mid
        while self._now_ms - averages[0][0] > AVERAGE_PRICE_MINUTES * 60_000:
            self._average_sum -= averages.popleft()[1]
