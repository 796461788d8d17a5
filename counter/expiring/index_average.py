"""The settlement index: the average of the index's record over the 30 minutes before an expiry.

Each minute weighs the same, however many samples it has: neither a burst nor a pause of the feed moves the average.
"""

from collections import defaultdict
from collections.abc import Iterable
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
