"""The clock of a replay: where in the recorded time the venue stands at a given wall time.

All symbols of a replay share one timeline, so what happened together is replayed together.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from tools.paper_venue.amounts import ZERO
from tools.paper_venue.prices.recording import Recording, RecordingError, RecordingKind

CANDLE_SPEED = Decimal(60)
REAL_SPEED = Decimal(1)
DEMO_SECONDS = 20
LEAD_SECONDS = 5


class RecordingsApart(RecordingError):
    """The recordings have no time in common, so they cannot be played side by side."""


class RecordingTwice(RecordingError):
    """Two recordings of one kind for one symbol."""


class AtEnd(StrEnum):
    LOOP = "loop"
    HOLD = "hold"


class Position(NamedTuple):
    """A point of recorded time, and how often the recording has begun again."""

    at_ms: int
    round: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Recorded time from ``first_ms`` to ``last_ms``, entered at ``start_ms`` when the wall read ``anchor_ms``."""

    first_ms: int
    last_ms: int
    start_ms: int
    anchor_ms: int
    speed: Decimal
    at_end: AtEnd

    def position(self, *, now_ms: int) -> Position:
        at_ms = self.start_ms + int((now_ms - self.anchor_ms) * self.speed)
        if at_ms <= self.last_ms:
            return Position(max(at_ms, self.first_ms), 0)
        if self.at_end is AtEnd.HOLD:
            return Position(self.last_ms, 0)
        rounds, offset = divmod(at_ms - self.first_ms, self.last_ms - self.first_ms)
        return Position(self.first_ms + offset, rounds)


def make_timeline(
    *,
    recordings: Sequence[Recording],
    anchor_ms: int,
    speed: Decimal | None = None,
    start: str | None = None,
    at_end: AtEnd = AtEnd.LOOP,
) -> Timeline:
    """The time all recordings share.

    Without a speed, trades and book tickers run in real time and candles at sixty times that. ``start`` is "begin",
    "largest-move" (the default for candles) or a recorded time in milliseconds.
    Raises: RecordingsApart, RecordingTwice, RecordingError.
    """
    if len({(item.symbol, item.kind) for item in recordings}) < len(recordings):
        raise RecordingTwice(", ".join(item.name for item in recordings))
    first_ms = max(item.first_ms for item in recordings)
    last_ms = min(item.last_ms for item in recordings)
    if first_ms >= last_ms:
        raise RecordingsApart(", ".join(item.name for item in recordings))
    is_candles = all(item.kind is RecordingKind.CANDLES for item in recordings)
    chosen = speed if speed is not None else CANDLE_SPEED if is_candles else REAL_SPEED
    if chosen <= 0:
        raise RecordingError("speed must be above zero")
    wanted = start or ("largest-move" if is_candles else "begin")
    if wanted == "begin":
        start_ms = first_ms
    elif wanted == "largest-move":
        window_ms = int(DEMO_SECONDS * 1000 * chosen)
        start_ms = largest_move(recordings, first_ms=first_ms, last_ms=last_ms, window_ms=window_ms)
        start_ms = max(first_ms, start_ms - int(LEAD_SECONDS * 1000 * chosen))
    elif wanted.isdigit() and first_ms <= int(wanted) < last_ms:
        start_ms = int(wanted)
    else:
        raise RecordingError(f"start must be begin, largest-move or a time from {first_ms} to {last_ms}")
    return Timeline(first_ms, last_ms, start_ms, anchor_ms, chosen, at_end)


def largest_move(recordings: Sequence[Recording], *, first_ms: int, last_ms: int, window_ms: int) -> int:
    """Where the window begins in which the symbols' prices, taken together, move furthest."""
    times = [at for at in recordings[0].times_ms if first_ms <= at <= last_ms - window_ms]

    def move(at_ms: int) -> Decimal:
        return sum((_relative_move(item, at_ms, at_ms + window_ms) for item in recordings), ZERO)

    return max(times, key=move, default=first_ms)


def _relative_move(recording: Recording, from_ms: int, to_ms: int) -> Decimal:
    before, after = _price_at(recording, from_ms), _price_at(recording, to_ms)
    return abs(after - before) / before


def _price_at(recording: Recording, at_ms: int) -> Decimal:
    return recording.rows[max(0, bisect.bisect_right(recording.times_ms, at_ms) - 1)][0]
