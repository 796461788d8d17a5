"""The risk of the option book as people look at it: read once for the page and /metrics."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from django.conf import settings

from cockpit.sharing import Shared
from counter.market.book import Book, Largest, largest_customers, read_book
from counter.pricing.book_risk import Grid, Risk, scenarios, total

CUSTOMERS_SHOWN = 10


@dataclass(frozen=True)
class BookRisk:
    """The book, its risk by coin and in all, and who holds most; USDT, from the exchange's side."""

    at: datetime
    book: Book
    by_coin: dict[str, Risk]
    in_all: Risk
    customers: Sequence[Largest]
    took_seconds: float

    @cached_property
    def grids(self) -> dict[str, Grid]:
        """What shocks would bring, by coin: 45 prices of each series, so only for those who look."""
        held = self.book.held
        return {coin: scenarios(each for each in held if each.underlying == coin) for coin in self.by_coin}

    @property
    def grid(self) -> Grid:
        """The same of all coins, moving alike."""
        rows = zip(*self.grids.values(), strict=True)
        return [[sum(cells) for cells in zip(*coins, strict=True)] for coins in rows]

    def contracts(self, coin: str) -> int:
        """Open contracts of a coin, those that cannot be priced among them."""
        return sum(each.net.contracts for each in self.book.series if each.net.underlying == coin)

    def index(self, coin: str) -> Decimal | None:
        """The coin's newest index, USDT; None where nothing of it is held and quoted."""
        return self.book.index.get(coin)


def read(*, now: datetime) -> BookRisk:
    """Read and price the whole book.

    Raises: DatabaseError.
    """
    started = time.monotonic()
    book = read_book(now=now)
    priced = book.by_coin()
    by_coin = {coin: priced.get(coin, Risk()) for coin in settings.COINS}
    return BookRisk(
        at=now,
        book=book,
        by_coin=by_coin,
        in_all=total(by_coin.values()),
        customers=largest_customers(book, most=CUSTOMERS_SHOWN),
        took_seconds=time.monotonic() - started,
    )


shared_risk = Shared(read)
