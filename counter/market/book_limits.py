"""The option book's delta and vega of the coins that have limits on them, for the feed's judgement of each coin."""

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from django.conf import settings

from counter.circuit_breaker import Reason
from counter.market.book_reader import BookReader
from counter.pricing.book_risk import Risk
from ledger.decimals import rounded

USDT_UNIT = Decimal("0.000001")


class BookLimits:
    """Measures again and again; nothing is read while no coin has a limit."""

    def __init__(self, reader: BookReader | None = None) -> None:
        self._reader = reader or BookReader()

    def measures(self, now: datetime) -> Mapping[str, Mapping[Reason, Decimal]]:
        """USDT by coin and cause, long or short alike, as old as the reader's book.

        Raises: database errors, and then no coin is judged: a limit that cannot be measured stops opens.
        """
        limits = {
            Reason.BOOK_DELTA: settings.BREAKER_BOOK_DELTA_USDT,
            Reason.BOOK_VEGA: settings.BREAKER_BOOK_VEGA_USDT,
        }
        if not any(limits.values()):
            return {}
        risks = self._reader.read(now).risks
        return {
            coin: {
                reason: _size(risks.get(coin, Risk()), reason)
                for reason, coins in limits.items()
                if coin in coins
            }
            for coin in settings.COINS
        }


def _size(risk: Risk, reason: Reason) -> Decimal:
    measure = abs(risk.delta if reason is Reason.BOOK_DELTA else risk.vega)
    return rounded(Decimal(repr(measure)), USDT_UNIT, ROUND_HALF_EVEN)
