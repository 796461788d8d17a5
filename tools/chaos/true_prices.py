"""What coins are really worth while the venue shows something else: its undistorted books, ten times a second."""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

import requests

from ledger.decimals import quotient

EVERY_SECONDS = 0.1
PRICE_UNIT = Decimal("0.00000001")
Tops = Mapping[str, tuple[Decimal, Decimal]]


class TruePrices:
    """Samples of the middle of each coin's book, in the order of their times."""

    def __init__(self) -> None:
        self._moments: dict[str, list[datetime]] = {}
        self._prices: dict[str, list[Decimal]] = {}

    def add(self, coin: str, at: datetime, price: Decimal) -> None:
        """Take a sample; one that is not later than the last is passed over."""
        moments = self._moments.setdefault(coin, [])
        if not moments or at > moments[-1]:
            moments.append(at)
            self._prices.setdefault(coin, []).append(price)

    def at(self, coin: str, moment: datetime) -> Decimal:
        """The last price up to a moment, or the first one after it. Raises: LookupError without any."""
        prices = self._prices[coin]
        return prices[max(0, bisect_right(self._moments[coin], moment) - 1)]

    def range(self, coin: str, since: datetime, until: datetime) -> tuple[Decimal, Decimal]:
        """The lowest and the highest price between two moments, with the samples next to them on both sides."""
        moments = self._moments[coin]
        first = max(0, bisect_left(moments, since) - 1)
        prices = self._prices[coin][first : bisect_right(moments, until) + 1] or [self._prices[coin][-1]]
        return min(prices), max(prices)

    def samples(self, coin: str, since: datetime, until: datetime) -> list[tuple[datetime, Decimal]]:
        """Those from `since` on and before `until`."""
        moments = self._moments.get(coin, [])
        part = slice(bisect_left(moments, since), bisect_left(moments, until))
        return list(zip(moments[part], self._prices.get(coin, [])[part], strict=True))


class Watching:
    """Notes true prices in a thread of its own until it is stopped; a venue that is away has none."""

    def __init__(
        self, ask: Callable[[], Tops], *, coins: Mapping[str, str], clock: Callable[[], datetime]
    ) -> None:
        self.prices = TruePrices()
        self._ask = ask
        self._coins = coins  # by symbol of the venue
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="true prices", daemon=True)

    def start(self) -> None:
        """Return once there is a sample, or after a while."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            tops = self._ask()
        except (requests.RequestException, ValueError):
            return
        now = self._clock()
        for symbol, coin in self._coins.items():
            if symbol in tops:
                self.prices.add(coin, now, middle(*tops[symbol]))


def middle(bid: Decimal, ask: Decimal) -> Decimal:
    """The middle of a book as a careless reader makes it, of any book."""
    return quotient(bid + ask, 2, unit=PRICE_UNIT, rounding=ROUND_HALF_EVEN)
