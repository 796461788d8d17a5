"""The settlement index: the average of the index's record over the 30 minutes before an expiry.

Each minute weighs the same, however many samples it has: neither a burst nor a pause of the feed moves the average.
While the window runs, `average_so_far` says by the same rule which part of the average is known already.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

WINDOW = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
DECIMALS = 8


class Sample(NamedTuple):
    """The index at one moment, USDT for one coin."""

    at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class IndexAverage:
    """What the record says: `price` (8 decimals, half-even) is None without any sample.

    `largest_gap` is the longest time without a sample, the edges of the window among them.
    """

    price: Decimal | None
    samples: int
    minutes: int
    largest_gap: timedelta
    first_at: datetime | None
    last_at: datetime | None


class MinuteSoFar(NamedTuple):
    """What was recorded in one minute of the window, counted from its beginning; `total` is the sum of the samples.

    `largest_gap` is the longest time before one of its samples without another, within the window.
    """

    minute: int
    samples: int
    total: Decimal
    largest_gap: timedelta


@dataclass(frozen=True, slots=True)
class AverageSoFar:
    """The part of an average under way that the record has fixed.

    The average will be `known` (USDT for one coin) plus `open_share`, from 0 to 1, times the mean of what is still
    to be recorded.
    """

    known: Fraction
    open_share: Fraction


def average_so_far(
    minutes: Sequence[MinuteSoFar], *, expires_at: datetime, now: datetime, every: timedelta
) -> AverageSoFar:
    """Return what the record up to `now`, when the index was read last, makes of the average that it is part of.

    The index is read once in `every` from now on. A minute that went by without a sample has no weight, as in
    `average_of`; of the present one the samples weigh as many as they are among those that it will have.
    """
    elapsed = now - (expires_at - WINDOW)
    present = elapsed // MINUTE
    left_of_minute = (present + 1) * MINUTE - elapsed
    to_come = -(-left_of_minute // every) - 1  # readings after now and before the minute's end
    known = weight = Fraction(0)
    for row in minutes:
        share = Fraction(1) if row.minute < present else Fraction(row.samples, row.samples + to_come)
        known += share * Fraction(row.total) / row.samples
        weight += share
    of_present = 1 if to_come or any(row.minute == present for row in minutes) else 0
    whole = sum(row.minute < present for row in minutes) + of_present + (WINDOW // MINUTE - 1 - present)
    if not whole:  # nothing was recorded and nothing will be
        return AverageSoFar(Fraction(0), Fraction(1))
    return AverageSoFar(known / whole, 1 - weight / whole)


def can_still_settle(
    minutes: Sequence[MinuteSoFar],
    *,
    expires_at: datetime,
    now: datetime,
    least_minutes: int,
    most_gap: timedelta,
) -> bool:
    """Whether the record of a window under way may still become enough to settle at."""
    present = (now - (expires_at - WINDOW)) // MINUTE
    missing = present - sum(row.minute < present for row in minutes)
    largest_gap = max((row.largest_gap for row in minutes), default=timedelta(0))
    return WINDOW // MINUTE - missing >= least_minutes and largest_gap <= most_gap


def average_of(samples: Iterable[Sample], *, expires_at: datetime) -> IndexAverage:
    """Return the mean of the means of the minutes of the window; samples outside of it do not count."""
    starts_at = expires_at - WINDOW
    inside = sorted(sample for sample in samples if starts_at <= sample.at < expires_at)
    if not inside:
        return IndexAverage(None, 0, 0, WINDOW, None, None)
    by_minute: dict[int, list[Decimal]] = defaultdict(list)
    for at, price in inside:
        by_minute[(at - starts_at) // MINUTE].append(price)
    # Fractions are exact, so the one rounding is the last step.
    means = [sum(map(Fraction, prices), Fraction(0)) / len(prices) for prices in by_minute.values()]
    mean = sum(means, Fraction(0)) / len(means)
    moments = [starts_at, *(at for at, _ in inside), expires_at]
    return IndexAverage(
        price=Decimal(f"{round(mean * 10**DECIMALS)}E-{DECIMALS}"),
        samples=len(inside),
        minutes=len(by_minute),
        largest_gap=max(later - earlier for earlier, later in pairwise(moments)),
        first_at=inside[0].at,
        last_at=inside[-1].at,
    )


def what_lacks(average: IndexAverage, *, least_minutes: int, most_gap: timedelta) -> str:
    """Why the record is not enough to settle at, for people; empty when it is."""
    of = WINDOW // MINUTE
    if average.price is None:
        return f"the index was not recorded in the {of} minutes before the expiry"
    if average.minutes < least_minutes:
        return f"the index was recorded in {average.minutes} of the {of} minutes, {least_minutes} are needed"
    if average.largest_gap > most_gap:
        return (
            f"the index was not recorded for {average.largest_gap.total_seconds():.0f} s, "
            f"{most_gap.total_seconds():.0f} s are allowed"
        )
    return ""
