"""Which price source each symbol gets: a recording where there is one, else a random walk."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tools.paper_venue.prices.quotes import PriceSource
from tools.paper_venue.prices.random_walk import RandomWalk, WalkShape
from tools.paper_venue.prices.recording import Recording, load_recording
from tools.paper_venue.prices.replay import Replay
from tools.paper_venue.prices.timeline import AtEnd, make_timeline
from tools.paper_venue.symbols import Symbol


@dataclass(frozen=True, slots=True)
class PriceSettings:
    """Where prices come from; ``start_prices`` are for random walks, the rest from ``speed`` on for recordings."""

    walk: WalkShape = field(default_factory=WalkShape)
    start_prices: dict[str, Decimal] = field(default_factory=dict)
    market_data: tuple[Path, ...] = ()
    speed: Decimal | None = None
    start: str | None = None
    at_end: AtEnd = AtEnd.LOOP


class PriceSources:
    """Loads the recordings once and hands out one source for each symbol.

    Raises: RecordingError, OSError.
    """

    def __init__(self, settings: PriceSettings, *, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        loaded = (load_recording(path) for path in settings.market_data)
        self._recordings: list[Recording] = [item for item in loaded if item is not None]

    @property
    def recording(self) -> str:
        """A name for exactly this replay, the same after a restart; empty without one."""
        if not self._recordings:
            return ""
        names = ",".join(sorted(item.name for item in self._recordings))
        return f"{names} speed={self._settings.speed} start={self._settings.start}"

    def source(
        self, *, symbol: Symbol, marked_price: Decimal | None, anchor_ms: int, now_ms: int
    ) -> PriceSource:
        """``marked_price`` is where a walk had come to before a restart, ``anchor_ms`` when the replay began."""
        recordings = [item for item in self._recordings if item.symbol == symbol.name]
        walk = self._settings.walk
        if not recordings:
            start = self._settings.start_prices.get(symbol.name, symbol.start_price)
            return RandomWalk(
                symbol=symbol, start_price=marked_price or start, shape=walk, seed=self._seed, now_ms=now_ms
            )
        timeline = make_timeline(
            recordings=self._recordings,
            anchor_ms=anchor_ms,
            speed=self._settings.speed,
            start=self._settings.start,
            at_end=self._settings.at_end,
        )
        return Replay(
            symbol=symbol,
            recordings=recordings,
            timeline=timeline,
            spread_bps=walk.spread_bps,
            now_ms=now_ms,
        )
