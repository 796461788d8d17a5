"""The top of a coin's book over a run, as it was pushed to this machine: what could have been had at any moment."""

import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

EVERY_SECONDS = 0.005
WITHIN_SECONDS = 5.0


class Top(NamedTuple):
    """Best bid and ask, USDT for one coin."""

    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    def touch(self, side: str) -> Decimal:
        """What a taker of that side gets at best."""
        return self.ask if side == "buy" else self.bid


@dataclass
class PricePath:
    """Tops by the moment at which they were received, the earliest first."""

    moments: list[datetime] = field(default_factory=list)
    tops: list[Top] = field(default_factory=list)

    def add(self, at: datetime, top: Top) -> None:
        """Note a top that differs from the last; one that comes late is of the moment at which the last one came."""
        if not self.tops or self.tops[-1] != top:
            self.moments.append(max(at, self.moments[-1]) if self.moments else at)
            self.tops.append(top)

    def at(self, moment: datetime) -> Top:
        """The top that was known then; the first one before that. Raises: LookupError when there is none at all."""
        if not self.tops:
            raise LookupError("no price was received")
        return self.tops[max(0, bisect_right(self.moments, moment) - 1)]


@contextmanager
def recorded(coins: Sequence[str]) -> Iterator[dict[str, PricePath]]:
    """The paths of these coins, written from now until the block ends."""
    from django.conf import settings

    from infra.exchange.pushed_books import PushedBooks

    books = PushedBooks(client=settings.VENUE, url=settings.VENUE_URL)
    paths = {coin: PricePath() for coin in coins}
    ended = threading.Event()

    def record() -> None:
        while not ended.wait(EVERY_SECONDS):
            for coin, path in paths.items():
                book = books.read(settings.COINS[coin], within_seconds=WITHIN_SECONDS)
                if book is not None:
                    received_at = datetime.fromtimestamp(time.time() - book.age_seconds, UTC)
                    path.add(received_at, Top(Decimal(book.bid), Decimal(book.ask)))

    thread = threading.Thread(target=record, name="price-path", daemon=True)
    thread.start()
    try:
        yield paths
    finally:
        ended.set()
        thread.join()
