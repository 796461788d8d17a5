"""How far a coin's index may move, and what becomes of one that moves further: pure, `now` is passed in.

An index that leaps is not published. Either it comes back, and nothing has happened, or the new level lasts: then it is
confirmed, the longer after the further it leapt, and the index goes on from there. So a wick is never priced at, and a
crash is followed after seconds. A smaller movement is published at once, but what it makes better for customers counts
only once it has lasted as long (`Level.still_counting`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import NamedTuple

from counter.market.index_bounds import distance, median
from ledger.decimals import product, quotient

# What is older says nothing of a leap; nobody can trade at its quotes either, so nothing needs to be halted.
REFERENCE_KEPT = timedelta(minutes=5)
SAMPLES_TO_CONFIRM = 3
SAMPLES_TO_BEGIN = 2
SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


class Point(NamedTuple):
    """A published index, USDT for one coin."""

    at: datetime
    price: Decimal


class Span(NamedTuple):
    """The lowest and the highest index that count at a moment, USDT for one coin."""

    low: Decimal
    high: Decimal


class Climb(NamedTuple):
    """Successive samples that follow each other and wait to be believed: the first, the last, and how many."""

    first: Point
    last: Point
    samples: int = 1


@dataclass(frozen=True, slots=True)
class LeapLimits:
    """Rates are fractions of a price: of movement a second, and from the median of the last `window`.

    A leap as far as `per_second_rate` is confirmed after `confirm_after`, one twice as far after twice that, and none
    waits for longer than `confirm_at_most`.
    """

    per_second_rate: Decimal
    window_rate: Decimal
    window: timedelta
    confirm_after: timedelta
    confirm_at_most: timedelta


@dataclass(frozen=True, slots=True)
class Level:
    """Where a coin's index is: the points published of late, oldest first, and a leap that is under way."""

    points: tuple[Point, ...] = ()
    climb: Climb | None = None
    leaping_since: datetime | None = None

    def reference(self, *, limits: LeapLimits, now: datetime) -> Decimal | None:
        """The median of the last seconds, or the last point if that is older but not too old."""
        recent = [point.price for point in self.points if abs(now - point.at) <= limits.window]
        if recent:
            return median(recent)
        if self.points and abs(now - self.points[-1].at) <= REFERENCE_KEPT:
            return self.points[-1].price
        return None

    def span(self, *, limits: LeapLimits, now: datetime) -> Span:
        """The lowest and the highest index that still count, the last one among them.

        An earlier one counts until what followed it has lasted for as long as a leap so far would have to.
        """
        low = high = last = self.points[-1].price
        for following, point in pairwise(reversed(self.points)):
            if low <= point.price <= high:  # adds nothing
                continue
            if now - following.at < _confirm_after(point.price, last, limits):
                low, high = min(low, point.price), max(high, point.price)
        return Span(low, high)


def move(level: Level, price: Decimal, *, limits: LeapLimits, now: datetime) -> tuple[Level, bool]:
    """Return the level after a sample of `price`, and whether that is published."""
    reference = level.reference(limits=limits, now=now)
    if reference is None:
        climb = _climbed(level, price, limits, now)
        if climb.samples < SAMPLES_TO_BEGIN:
            return replace(level, climb=climb), False
        return Level((*level.points[-1:], Point(now, price))), True
    last = level.points[-1]
    if _is_near(price, level, reference, limits, now):
        return Level((*_kept(level.points, limits, now), Point(now, price))), True
    climb = _climbed(level, price, limits, now)
    # By how far its first sample leapt: a crash that goes on meanwhile does not have to wait for its end.
    confirm_after = _confirm_after(climb.first.price, last.price, limits)
    if climb.samples >= SAMPLES_TO_CONFIRM and now - climb.first.at >= confirm_after:
        return Level((Point(now, price),)), True
    return replace(level, climb=climb, leaping_since=level.leaping_since or now), False


def _is_near(price: Decimal, level: Level, reference: Decimal, limits: LeapLimits, now: datetime) -> bool:
    last, seconds = level.points[-1], Decimal(1)
    if level.climb is None:  # a pause without samples gives room for as many seconds, a leap does not
        seconds = max(Decimal(abs(now - last.at) // _MICROSECOND).scaleb(-6), seconds)
    step = min(product(limits.per_second_rate, seconds), limits.window_rate)
    return distance(price, last.price) <= step and distance(price, reference) <= limits.window_rate


def _climbed(level: Level, price: Decimal, limits: LeapLimits, now: datetime) -> Climb:
    """The climb with one more sample; a sample that does not follow, in time or in price, begins anew."""
    climb, point = level.climb, Point(now, price)
    if (
        climb is None
        or not timedelta() < now - climb.last.at <= limits.confirm_after
        or distance(price, climb.last.price) > limits.window_rate
    ):
        return Climb(point, point)
    return Climb(climb.first, point, climb.samples + 1)


def _kept(points: Sequence[Point], limits: LeapLimits, now: datetime) -> Sequence[Point]:
    """The points of the time in which any may count, and the one that they followed."""
    longest = max(limits.window, limits.confirm_at_most)
    first = next((at for at, point in enumerate(points) if abs(now - point.at) <= longest), len(points))
    return points[max(first - 1, 0) :]


def _confirm_after(price: Decimal, other: Decimal, limits: LeapLimits) -> timedelta:
    """How long a level has to last that is as far as `price` and `other` are apart from the one before."""
    microseconds = quotient(
        product(distance(price, other), limits.confirm_after // _MICROSECOND),
        limits.per_second_rate,
        unit=Decimal(1),
        rounding=ROUND_FLOOR,
    )
    at_most = limits.confirm_at_most // _MICROSECOND
    return max(limits.confirm_after, min(int(microseconds), at_most) * _MICROSECOND)
