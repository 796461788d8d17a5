"""Candles of one symbol, built from its public trades minute by minute.

Longer candles and the 24-hour statistics are sums of minutes, so they never disagree with them.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tools.paper_venue.amounts import ONE, ZERO, round_down
from tools.paper_venue.prices.quotes import Print
from tools.paper_venue.symbols import Symbol

MINUTE_MS = 60_000
MINUTES_KEPT = 2_880
DAY_MINUTES = 1_440
MINUTE_VOLATILITY = Decimal("0.0008")
MINUTE_USDT = Decimal(400_000)
INTERVAL_MINUTES = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360,
    "8h": 480, "12h": 720, "1d": 1440, "3d": 4320, "1w": 10080,
}  # fmt: skip


@dataclass(slots=True)
class Candle:
    open_at_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    trades: int = 0
    taker_buy_volume: Decimal = ZERO
    taker_buy_quote_volume: Decimal = ZERO

    def add(self, item: Print) -> None:
        quote = item.price * item.quantity
        self.high, self.low, self.close = max(self.high, item.price), min(self.low, item.price), item.price
        self.volume += item.quantity
        self.quote_volume += quote
        self.trades += 1
        if not item.is_buyer_maker:
            self.taker_buy_volume += item.quantity
            self.taker_buy_quote_volume += quote


class CandleBook:
    """The last two days of one symbol; the day before the start is a seeded invention that leads to the price."""

    def __init__(self, *, symbol: Symbol, price: Decimal, seed: int, now_ms: int) -> None:
        open_at_ms = now_ms - now_ms % MINUTE_MS
        first = Candle(open_at_ms, open=price, high=price, low=price, close=price)
        self._minutes: deque[Candle] = deque([first], maxlen=MINUTES_KEPT)
        self._closed_day: Candle | None = None
        # Most venues are never asked for candles, so the past is invented when somebody looks.
        self._history = _invented_history(symbol=symbol, price=price, seed=seed, before_ms=open_at_ms)

    def add(self, item: Print) -> None:
        self.roll(now_ms=item.at_ms)
        self._minutes[-1].add(item)

    def roll(self, *, now_ms: int) -> None:
        """Open the candles up to the present minute; a minute without a trade is flat."""
        latest = self._minutes[-1]
        missing = (now_ms - latest.open_at_ms) // MINUTE_MS
        for number in range(max(1, missing - MINUTES_KEPT), missing + 1):
            open_at_ms = latest.open_at_ms + number * MINUTE_MS
            flat = latest.close
            self._minutes.append(Candle(open_at_ms, open=flat, high=flat, low=flat, close=flat))
            self._closed_day = None

    def candles(
        self, *, interval_ms: int, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Candle]:
        """At most ``limit`` candles, oldest first: from ``start_ms`` on if it is given, else the latest."""
        self._add_history()
        wanted = [
            minute
            for minute in self._minutes
            if (start_ms is None or minute.open_at_ms >= start_ms)
            and (end_ms is None or minute.open_at_ms <= end_ms)
        ]
        joined = [
            join(list(minutes), open_at_ms=number * interval_ms)
            for number, minutes in itertools.groupby(wanted, key=lambda item: item.open_at_ms // interval_ms)
        ]
        return joined[:limit] if start_ms is not None else joined[-limit:]

    def last_day(self) -> Candle:
        """The last 1440 minutes as one candle; the closed ones are summed once a minute."""
        self._add_history()
        if self._closed_day is None:
            start = max(0, len(self._minutes) - DAY_MINUTES)
            closed = list(itertools.islice(self._minutes, start, len(self._minutes) - 1))
            self._closed_day = join(closed, open_at_ms=closed[0].open_at_ms)
        return join([self._closed_day, self._minutes[-1]], open_at_ms=self._closed_day.open_at_ms)

    def _add_history(self) -> None:
        for candle in self._history:
            if len(self._minutes) < MINUTES_KEPT:
                self._minutes.appendleft(candle)


def join(minutes: Sequence[Candle], *, open_at_ms: int) -> Candle:
    """One candle over consecutive ones."""
    return Candle(
        open_at_ms=open_at_ms,
        open=minutes[0].open,
        high=max(item.high for item in minutes),
        low=min(item.low for item in minutes),
        close=minutes[-1].close,
        volume=sum((item.volume for item in minutes), ZERO),
        quote_volume=sum((item.quote_volume for item in minutes), ZERO),
        trades=sum(item.trades for item in minutes),
        taker_buy_volume=sum((item.taker_buy_volume for item in minutes), ZERO),
        taker_buy_quote_volume=sum((item.taker_buy_quote_volume for item in minutes), ZERO),
    )


def _invented_history(*, symbol: Symbol, price: Decimal, seed: int, before_ms: int) -> Iterator[Candle]:
    """A day of minutes that led to ``price``, latest first: a seeded walk run backwards."""
    rng = random.Random(f"{seed}:{symbol.name}:history")
    closed = price
    for number in range(1, DAY_MINUTES):
        change = MINUTE_VOLATILITY * Decimal(int(rng.gauss(0, 1) * 1_000_000)).scaleb(-6)
        opened = max(symbol.tick, round_down(closed * (ONE + change), step=symbol.tick))
        volume = round_down(MINUTE_USDT * rng.randrange(50, 150) / 100 / closed, step=symbol.step)
        bought = round_down(volume / 2, step=symbol.step)
        yield Candle(
            open_at_ms=before_ms - number * MINUTE_MS,
            open=opened,
            high=max(opened, closed),
            low=min(opened, closed),
            close=closed,
            volume=volume,
            quote_volume=volume * closed,
            trades=rng.randrange(200, 900),
            taker_buy_volume=bought,
            taker_buy_quote_volume=bought * closed,
        )
        closed = opened
