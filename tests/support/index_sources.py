"""Sources of the index whose books a test writes, and an index of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from counter.market.index import Index
from counter.market.index_bounds import Book, Cause
from counter.market.index_sources import Answer

PRICES = {"BTC": Decimal(90_000), "ETH": Decimal(3_000)}
HALF_SPREAD = Decimal("0.00005")


class WrittenSource:
    """Answers at once with the books it was given last: as text, `(bid, ask)` by coin, a cause, or silence."""

    def __init__(self, name: str = "binance", *, prices: Mapping[str, Decimal] = PRICES) -> None:
        self.name = name
        self.silent = False
        self.behind = timedelta()  # the source's own clock
        self.books: dict[str, tuple[str | None, str | None] | Cause] = {}
        self.at(**prices)
        self._answer: Answer | None = None

    def at(self, **prices: Decimal | int | str) -> None:
        """Tight books around these prices."""
        for coin, price in prices.items():
            middle = Decimal(price)
            self.books[coin] = (str(middle * (1 - HALF_SPREAD)), str(middle * (1 + HALF_SPREAD)))

    def ask(self, *, now: datetime) -> None:
        if self.silent:
            return
        books = {
            coin: told if isinstance(told, Cause) else Book(self.name, *told, now - self.behind)
            for coin, told in self.books.items()
        }
        self._answer = Answer(now, books)

    def answer(self, *, within_seconds: float) -> Answer | None:
        return self._answer


def begun(*sources: WrittenSource, now: datetime) -> Index:
    """An index of these sources that has begun: it was read for the seconds before `now`."""
    index = Index(sources)
    for ago in (3, 2, 1):
        index.read(now=now - timedelta(seconds=ago))
    return index
