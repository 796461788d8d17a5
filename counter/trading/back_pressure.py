"""Back-pressure: which part of a coin's orders is taken, so that what is accepted is hedged soon.

Pure: what was measured comes in, the share to be admitted goes out. The law is one sentence: an order's wait is
predicted as the orders before it over those that the desk can settle a second; while that is within the bound
everything is admitted, and beyond it as many a second as the desk settles, and so many fewer or more as bring what
waits to the bound within two seconds.

Invariants: refusing never begins while fewer than `PaceBounds.few_orders` wait, however slow the desk seems (once
begun, it ends as the share grows back); a desk that settles nothing for some seconds is not a slow one, for what it can
settle is learned only from what it settles, and after a pause only that it can do more; orders that later ones have
overtaken (an outcome that is being found out) hold up nobody.
"""

import math
from dataclasses import dataclass

WHOLE = 1000  # shares are in thousandths
LEAST = 10
AVERAGED_SECONDS = 1.0
CORRECTED_WITHIN_SECONDS = 2.0
GROWS_TIMES = 4.0
# A desk that settles nothing for so long is being restarted, or waits for its venue: it is no slower for that.
PAUSED_AFTER_SECONDS = 2.0
# Measurements so far apart cannot be compared.
LOST_AFTER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PaceBounds:
    """For how many seconds an order may have to wait, beyond the venue's answers, and how many never have to."""

    wait_seconds: float
    few_orders: int


@dataclass(frozen=True, slots=True)
class DeskLoad:
    """One coin at a moment: orders settled since ever, those that wait, and those of them that were not overtaken.

    `behind_seconds` is the age of the oldest that was not overtaken; `venue_seconds` what the venue takes of it. Of a
    coin that is not `is_paced` everything is admitted: a person wants it so.
    """

    settled: int
    waiting: int
    behind: int = 0
    behind_seconds: float = 0.0
    venue_seconds: float = 0.0
    is_paced: bool = True

    @property
    def late_seconds(self) -> float:
        """Beyond the venue's answers: an order waits out the round under way, and then its own."""
        return self.behind_seconds - 2 * self.venue_seconds


class Pace:
    """The share of one coin's orders that is admitted, from one measurement to the next."""

    def __init__(self, *, share: int = WHOLE) -> None:
        self.share = share
        self._last: DeskLoad | None = None
        self._last_at = self._settled_at = 0.0
        self._found_behind = 0  # by this measurer, at first
        self._began_at, self._settled_first = 0.0, 0  # since then, until it knows what the desk can settle
        # Averaged alike, from nothing: what is offered is their ratio.
        self._accepted_per_s = self._admitted = 0.0
        self._settled_per_s = 0.0
        self._was_busy = False  # when it settled something the last time
        self._capacity_per_s: float | None = None  # what the desk can settle, as far as it has shown

    def take(self, load: DeskLoad, bounds: PaceBounds, *, at: float) -> int:
        """The share after a measurement `at` a moment in seconds."""
        if not load.is_paced:
            self._last, self.share = None, WHOLE
            return self.share
        last, seconds = self._last, at - self._last_at
        if last is None or load.settled < last.settled or seconds > LOST_AFTER_SECONDS:
            self._last, self._last_at, self._settled_at = load, at, at
            self._found_behind = load.behind
            self._began_at, self._settled_first = at, 0
            return self.share  # nothing to compare it with
        if seconds <= 0:
            return self.share
        self._last, self._last_at = load, at
        settled = load.settled - last.settled
        accepted = max(settled + load.waiting - last.waiting, 0)
        self._accepted_per_s += _weight(seconds) * (accepted / seconds - self._accepted_per_s)
        self._admitted += _weight(seconds) * (self.share / WHOLE - self._admitted)
        if settled:
            is_busy = self._is_busy(load, bounds)
            seconds_since = at - self._settled_at
            was_busy = self._was_busy and seconds_since <= PAUSED_AFTER_SECONDS
            self._learn(settled, seconds_since, bounds, is_busy=is_busy and was_busy)
            self._was_busy = is_busy
        if settled or not load.behind:
            self._settled_at = at
        self.share = self._next(load, bounds, seconds)
        return self.share

    def _learn(self, settled: int, seconds: float, bounds: PaceBounds, *, is_busy: bool) -> None:
        """What it settles while it is busy is what it can settle; while it is not, it can do that at least."""
        seen = settled / seconds
        if self._capacity_per_s is None:
            # One round, or none, tells nothing: what is settled in the first second does.
            self._settled_first += settled
            if (since := self._last_at - self._began_at) < AVERAGED_SECONDS:
                return
            seen = self._settled_first / since
            self._settled_per_s = seen
            self._capacity_per_s = seen if is_busy else max(seen, bounds.few_orders)
            return
        self._settled_per_s += _weight(seconds) * (seen - self._settled_per_s)
        if is_busy:
            self._capacity_per_s += _weight(seconds) * (seen - self._capacity_per_s)
        else:
            self._capacity_per_s = max(self._capacity_per_s, self._settled_per_s)

    def _is_busy(self, load: DeskLoad, bounds: PaceBounds) -> bool:
        return load.late_seconds > bounds.wait_seconds or load.behind > self._may_wait(load, bounds, part=0.5)

    def _may_wait(self, load: DeskLoad, bounds: PaceBounds, *, part: float = 1.0) -> float:
        """How many orders, with those that are at the venue, the desk settles within a part of the bound."""
        seconds = part * bounds.wait_seconds + 2 * load.venue_seconds
        return max(part * bounds.few_orders, seconds * self._known_per_s(bounds))

    def _known_per_s(self, bounds: PaceBounds) -> float:
        return bounds.few_orders if self._capacity_per_s is None else self._capacity_per_s

    def _next(self, load: DeskLoad, bounds: PaceBounds, seconds: float) -> int:
        few = bounds.few_orders
        if self._capacity_per_s is None and few < load.behind <= self._found_behind + few:
            return self.share  # of a new measurer: what it has not seen yet is no reason to change anything
        room = self._may_wait(load, bounds) - load.behind
        if room >= 0 and self.share == WHOLE:
            return WHOLE
        wanted_per_s = self._known_per_s(bounds) + room / CORRECTED_WITHIN_SECONDS
        offered_per_s = self._accepted_per_s / self._admitted
        most = min(WHOLE, self.share * GROWS_TIMES**seconds)
        return round(max(LEAST, min(WHOLE * wanted_per_s / max(offered_per_s, 1.0), most)))


def _weight(seconds: float) -> float:
    return 1 - math.exp(-seconds / AVERAGED_SECONDS)
