"""A seeded random walk with jumps.

The walk moves in fixed steps of time: how often it is asked does not change where it goes. Prices are Decimal
throughout; only the dimensionless random draws begin as floats, and are cut to six decimals before they meet a price.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from tools.paper_venue.amounts import ONE, round_down, round_up
from tools.paper_venue.prices.quotes import Print, Quote
from tools.paper_venue.symbols import Symbol

STEP_MS = 100
YEAR_MS = 365 * 24 * 3600 * 1000
MAX_STEPS_AT_ONCE = 600
BASIS_POINTS = Decimal(10_000)
HALF = Decimal("0.5")
PRINT_USDT = Decimal(2_000)


@dataclass(frozen=True, slots=True)
class WalkShape:
    """How a price moves: yearly volatility and jump size as fractions, spread in basis points of the price."""

    annual_volatility: Decimal = Decimal("0.60")
    jumps_per_hour: Decimal = Decimal("6")
    jump_volatility: Decimal = Decimal("0.002")
    spread_bps: Decimal = Decimal("0.5")


def spread_around(*, mid: Decimal, spread_bps: Decimal, tick: Decimal) -> Quote:
    """Bid and ask on the tick grid, at least one tick apart."""
    half = mid * spread_bps / BASIS_POINTS / 2
    bid = round_down(mid - half, step=tick)
    return Quote(bid=bid, ask=max(round_up(mid + half, step=tick), bid + tick))


class RandomWalk:
    """A price source; see the module."""

    def __init__(
        self, *, symbol: Symbol, start_price: Decimal, shape: WalkShape, seed: int, now_ms: int
    ) -> None:
        self._symbol = symbol
        self._shape = shape
        self._random = random.Random(f"{seed}:{symbol.name}")
        self._mid = start_price
        self._floor, self._ceiling = start_price / 10, start_price * 10
        self._at_ms = now_ms
        self.quote = self._quote()

    def advance(self, *, now_ms: int) -> list[Print]:
        steps = (now_ms - self._at_ms) // STEP_MS
        if steps <= 0:
            return []
        if steps > MAX_STEPS_AT_ONCE:
            self._step(length_ms=(steps - MAX_STEPS_AT_ONCE) * STEP_MS)
        for _ in range(min(steps, MAX_STEPS_AT_ONCE)):
            self._step(length_ms=STEP_MS)
        self._at_ms += steps * STEP_MS
        self.quote = self._quote()
        return [self._print()]

    def _step(self, *, length_ms: int) -> None:
        part_of_year = Decimal(length_ms) / YEAR_MS
        change = self._shape.annual_volatility * part_of_year.sqrt() * self._normal()
        if self._uniform() < self._shape.jumps_per_hour * length_ms / 3_600_000:
            change += self._shape.jump_volatility * self._normal()
        self._mid = min(max(self._mid * (ONE + change), self._floor), self._ceiling).quantize(
            Decimal("0.0001"), ROUND_HALF_EVEN
        )

    def _quote(self) -> Quote:
        return spread_around(mid=self._mid, spread_bps=self._shape.spread_bps, tick=self._symbol.tick)

    def _print(self) -> Print:
        is_buyer_maker = self._uniform() < HALF
        price = self.quote.bid if is_buyer_maker else self.quote.ask
        quantity = round_up(PRINT_USDT * self._uniform() / price, step=self._symbol.step)
        return Print(price, max(quantity, self._symbol.step), is_buyer_maker, self._at_ms)

    def _normal(self) -> Decimal:
        return Decimal(int(self._random.gauss(0, 1) * 1_000_000)).scaleb(-6)

    def _uniform(self) -> Decimal:
        return Decimal(self._random.randrange(1_000_000)).scaleb(-6)
