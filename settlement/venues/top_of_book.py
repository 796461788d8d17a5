"""The top of the book, checked before it is believed: crossed, one-sided or absurdly wide prices are not used.

It is pushed (`infra.exchange.pushed_books`) or fetched, with the same checks for both. If both are known and differ by
more than an order's limit allows, the fetched one counts, and pushed ones are ignored for a while.
"""

import time
from typing import Any

import structlog
from django.conf import settings

from infra.exchange.pushed_books import PushedBook, PushedBooks
from ledger.book_bounds import flaw_of
from ledger.decimals import EXACT, product
from settlement.venues.protocol import TopOfBook
from settlement.venues.reading import positive

log = structlog.get_logger(__name__)

COMPARED_WITHIN_SECONDS = 0.1  # older ones say nothing of the price that was asked for
DISBELIEVED_SECONDS = 10.0
NEVER_SECONDS = float("-inf")  # by the monotonic clock


class Tops:
    """The tops that one process knows of, by symbol."""

    def __init__(self, pushed: PushedBooks) -> None:
        self._pushed = pushed
        self._tops: dict[str, tuple[float, TopOfBook]] = {}  # when it was asked for, and what the answer was
        self._disbelieved_at: dict[str, float] = {}

    def latest(self, symbol: str, *, within_seconds: float) -> TopOfBook | None:
        """What was received last, pushed or asked for, if that is not longer ago."""
        asked_at, asked = self._tops.get(symbol, (NEVER_SECONDS, None))
        if (found := self._believed(symbol, within_seconds)) is not None:
            book, pushed = found
            if book.received_at >= asked_at:
                return pushed
        return asked if time.monotonic() - asked_at <= within_seconds else None

    def clear(self) -> None:
        """Know no price any more that was asked for."""
        self._tops.clear()

    def note_asked(self, symbol: str, top: TopOfBook) -> None:
        """Keep what was asked for, and hold what is pushed against it."""
        self._tops[symbol] = (time.monotonic(), top)
        found = self._believed(symbol, COMPARED_WITHIN_SECONDS)
        if found is None:
            return
        _, pushed = found
        difference = abs(EXACT.subtract(pushed.mid, top.mid))
        if difference > product(top.mid, settings.PRICE_BAND_RATE):
            self._disbelieved_at[symbol] = time.monotonic()
            log.warning("pushed prices are not believed", symbol=symbol, pushed=str(pushed), asked=str(top))

    def _believed(self, symbol: str, within_seconds: float) -> tuple[PushedBook, TopOfBook] | None:
        """What is pushed; None unless it is a fresh price that may be believed."""
        if time.monotonic() - self._disbelieved_at.get(symbol, NEVER_SECONDS) < DISBELIEVED_SECONDS:
            return None
        book = self._pushed.read(symbol, within_seconds=within_seconds)
        if book is None:
            return None
        try:
            return book, top_of({"bid": book.bid, "ask": book.ask})
        except (ArithmeticError, ValueError) as error:
            log.info("no price was pushed", symbol=symbol, why=str(error))
            return None


def top_of(ticker: dict[str, Any]) -> TopOfBook:
    """Best bid and ask from ccxt's ticker. Raises: ValueError, ArithmeticError, KeyError, TypeError."""
    bid, ask = ticker["bid"], ticker["ask"]
    if flaw := flaw_of(bid, ask, most_spread_rate=settings.BOOK_MOST_SPREAD_RATE):
        raise ValueError(f"a book that is {flaw}: bid {bid}, ask {ask}")
    return TopOfBook(bid=positive(bid), ask=positive(ask))
