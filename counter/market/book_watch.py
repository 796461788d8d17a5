"""The option book's delta and vega of the coins that have limits on them, for the feed's judgement of each coin."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.conf import settings

from counter.circuit_breaker import Reason
from counter.market.book import read_book
from counter.pricing.book_risk import Risk
from ledger.decimals import rounded

USDT_UNIT = Decimal("0.000001")
# Reading and pricing the book of a thousand series takes some 50 ms. It is done again after so many times as long, so
# that it costs no more than 2 % of a core.
PAUSE_TIMES = 50
PAUSE_AT_MOST = timedelta(seconds=10)


class BookWatch:
    """Measures again and again; nothing is read while no coin has a limit."""

    def __init__(self) -> None:
        self._measures: dict[str, Mapping[Reason, Decimal]] = {}
        self._due_at: datetime | None = None

    def measures(self, now: datetime) -> Mapping[str, Mapping[Reason, Decimal]]:
        """USDT by coin and cause, long or short alike, PAUSE_AT_MOST old at most.

        Raises: database errors, and then no coin is judged: a limit that cannot be measured stops opens.
        """
        limits = {
            Reason.BOOK_DELTA: settings.BREAKER_BOOK_DELTA_USDT,
            Reason.BOOK_VEGA: settings.BREAKER_BOOK_VEGA_USDT,
        }
        if not any(limits.values()):
            return {}
        if self._due_at is None or not now < self._due_at <= now + PAUSE_AT_MOST:
            started = time.monotonic()
            risks = read_book(now=now).by_coin()
            self._measures = {
                coin: {
                    reason: _size(risks.get(coin, Risk()), reason)
                    for reason, coins in limits.items()
                    if coin in coins
                }
                for coin in settings.COINS
            }
            took = timedelta(seconds=time.monotonic() - started)
            self._due_at = now + min(PAUSE_TIMES * took, PAUSE_AT_MOST)
        return self._measures


def _size(risk: Risk, reason: Reason) -> Decimal:
    measure = abs(risk.delta if reason is Reason.BOOK_DELTA else risk.vega)
    return rounded(Decimal(repr(measure)), USDT_UNIT, ROUND_HALF_EVEN)
