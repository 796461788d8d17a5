"""The risk of the option book as people look at it: read once for the page and /metrics."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from django.conf import settings

from cockpit.sharing import Shared
from counter.market.book import Book, Largest, largest_customers, read_book
from counter.pricing.book_risk import Grid, Risk, scenarios, total
from counter.pricing.impact import CoinBook, Depths
from counter.trading.depths import read_books
from ledger.decimals import product

CUSTOMERS_SHOWN = 10


class Charged(NamedTuple):
    """Where one measure of a coin's book stands, and its depth: USDT."""

    coin: str
    measure: str
    at: Decimal
    depth: Decimal


@dataclass(frozen=True)
class BookRisk:
    """The book, its risk by coin and in all, and who holds most; USDT, from the exchange's side.

    `charging` has the books by which coins charge for an order's size, those that do.
    """

    at: datetime
    book: Book
    by_coin: dict[str, Risk]
    in_all: Risk
    customers: Sequence[Largest]
    took_seconds: float
    charging: Mapping[str, CoinBook] = field(default_factory=dict)

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

    def charged(self) -> list[Charged]:
        """What orders are charged by for their size: of each coin and measure that has a depth."""
        found = []
        for coin, book in self.charging.items():
            index = self.index(coin)
            for name, depth, at in zip(Depths._fields, book.depths, book.at, strict=True):
                if depth and (index is not None or name == "vega"):
                    usdt = at if name == "vega" else product(at, index or 0)
                    found.append(Charged(coin, name, usdt, depth))
        return found

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
        charging=read_books(),
    )


shared_risk = Shared(read)
