"""Reading the option book again and again, once for all of the feed that goes by it: limits, and charges for size."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from counter.market.book import Book, read_book
from counter.pricing.book_risk import Risk
from counter.pricing.impact import Measures
from counter.trading.unsettled import Unsettled, read_unsettled
from infra.db.rows import rows_of
from infra.db.snapshots import snapshot

# Reading and pricing a book of a thousand series takes some 50 ms, in which nothing is quoted. It is done again after
# so many times as long, so for 2 % of the time; a book that takes longer than 0.2 s is read more often than that,
# since limits are judged by it: at most so long ago.
PAUSE_TIMES = 50
PAUSE_AT_MOST = timedelta(seconds=10)
FLOWS = "SELECT underlying, sum(delta), sum(vega), sum(premium) FROM counter_bookflow GROUP BY underlying"


@dataclass(frozen=True, slots=True)
class Reading:
    """The book at one moment, with the risk of each coin.

    Where coins charge for size also, of the same snapshot, the flows of orders and what is not converted, by coin.
    """

    book: Book
    risks: Mapping[str, Risk]
    flows: Mapping[str, Measures] = field(default_factory=dict)
    unsettled: Mapping[str, Unsettled] = field(default_factory=dict)


class BookReader:
    """Keeps the newest reading; `charging` says whether a coin charges for size."""

    def __init__(self) -> None:
        self.charging = False
        self._reading: Reading | None = None
        self._due_at: datetime | None = None

    def read(self, now: datetime, *, anew: bool = False) -> Reading:
        """The newest reading, PAUSE_AT_MOST old at most, or one of this moment.

        Raises: database errors, and then it is read anew with the next call.
        """
        is_due = self._due_at is None or not now < self._due_at <= now + PAUSE_AT_MOST
        if self._reading is None or is_due or anew:
            self._due_at = None
            started = time.monotonic()
            self._reading = self._read(now)
            took = timedelta(seconds=time.monotonic() - started)
            self._due_at = now + min(PAUSE_TIMES * took, PAUSE_AT_MOST)
        return self._reading

    def _read(self, now: datetime) -> Reading:
        if not self.charging:
            book = read_book(now=now)
            return Reading(book, book.by_coin())
        with snapshot("default"):
            flows = {coin: Measures(*sums) for coin, *sums in rows_of("default", FLOWS)}
            book = read_book(now=now)
            unsettled = read_unsettled(overdue_before=now)
        return Reading(book, book.by_coin(), flows, unsettled)
