"""Which samples of a coin's price are believed, and the index they make: pure, `now` is passed in.

Each source's book is a sample. One that is malformed, wide, old or far from what the sources agree on is rejected with
its cause; the index is the median of the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from ledger.book_bounds import PRICE_UNIT, Flaw, flaw_of, middle
from ledger.decimals import EXACT, quotient

RATE_UNIT = Decimal("0.000000000001")


class Cause(StrEnum):
    """Why a sample does not count. Stable codes: they are labels of a metric."""

    UNREACHABLE = "unreachable"  # no answer, or none in time
    UNLISTED = "unlisted"  # the source does not trade the coin
    MALFORMED = Flaw.MALFORMED.value
    ONE_SIDED = Flaw.ONE_SIDED.value
    CROSSED = Flaw.CROSSED.value
    WIDE = Flaw.WIDE.value
    UNTIMELY = "untimely"  # too old, or from the future
    APART = "apart"  # too far from the median of all sources
    LEAP = "leap"  # the sources agree, and too far from the last seconds: not confirmed yet


@dataclass(frozen=True, slots=True)
class Book:
    """The top of one source's book, as it was read; `at` is the source's own time, or when it was asked."""

    source: str
    bid: str | None
    ask: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class IndexBounds:
    """Rates are fractions of a price."""

    most_spread_rate: Decimal
    most_age: timedelta
    most_apart_rate: Decimal


@dataclass(frozen=True, slots=True)
class Rejection:
    """A sample that does not count."""

    source: str
    cause: Cause
    bid: str | None = None
    ask: str | None = None


@dataclass(frozen=True, slots=True)
class Agreed:
    """The index of one moment in USDT, None when no sample counts; the books it is made of, and what was rejected.

    It `is_split` where no majority of the sound samples agrees: the reference, if anything, has decided.
    """

    price: Decimal | None
    books: tuple[Book, ...] = ()
    rejected: tuple[Rejection, ...] = field(default=())
    is_split: bool = False


def agree(books: Sequence[Book], *, reference: Decimal | None, bounds: IndexBounds, now: datetime) -> Agreed:
    """Return the index that these books make; `reference` is the index of the last seconds, if there is one.

    The median is taken over all sound samples, each among them: so one odd source of three discredits itself, not the
    other two. An even number of them has the reference for a casting vote.
    """
    rejected, middles = [], {}
    for book in books:
        flaw = flaw_of(book.bid, book.ask, most_spread_rate=bounds.most_spread_rate)
        if flaw is not None:
            rejected.append(_rejected(book, Cause(flaw.value)))
        elif abs(now - book.at) > bounds.most_age:
            rejected.append(_rejected(book, Cause.UNTIMELY))
        else:
            assert book.bid is not None and book.ask is not None  # noqa: S101, PT018 - it has no flaw
            middles[book] = middle(book.bid, book.ask)
    centre = _centre(middles, reference)
    near = {
        book: price for book, price in middles.items() if distance(price, centre) <= bounds.most_apart_rate
    }
    rejected += [_rejected(book, Cause.APART) for book in middles if book not in near]
    is_split = len(near) * 2 <= len(middles) and bool(middles)
    return Agreed(median(near.values()) if near else None, tuple(near), tuple(rejected), is_split)


def distance(price: Decimal, other: Decimal) -> Decimal:
    """How far two prices are apart, as a fraction of the smaller one: the same both ways, beyond 1 for a collapse.

    12 decimals, rounded up.
    """
    low, high = min(price, other), max(price, other)
    return quotient(EXACT.subtract(high, low), low, unit=RATE_UNIT, rounding=ROUND_CEILING)


def median(prices: Iterable[Decimal]) -> Decimal:
    """The middle one; of an even number the mean of the middle two. 8 decimals, half-even."""
    ordered = sorted(prices)
    upper = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[upper]
    both = EXACT.add(ordered[upper - 1], ordered[upper])
    return quotient(both, 2, unit=PRICE_UNIT, rounding=ROUND_HALF_EVEN)


def _centre(middles: Mapping[Book, Decimal], reference: Decimal | None) -> Decimal:
    votes = list(middles.values())
    if not len(votes) % 2 and reference is not None:
        votes.append(reference)
    return median(votes) if votes else Decimal(0)


def _rejected(book: Book, cause: Cause) -> Rejection:
    return Rejection(book.source, cause, book.bid, book.ask)
