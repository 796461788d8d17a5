"""What the model says of one quoted option elsewhere than at its quote: its worth at another index, and odds.

Floats inside, as in `counter.pricing.greeks`; what leaves is a Decimal for showing, and no amount is booked from it.
Volatility and the forward's ratio to the index stay as they are quoted.
"""

import math
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from counter.market.model_quotes import averaging_at
from counter.market.quote_greeks import averages_begun
from counter.models import Quote
from counter.pricing.black76 import ModelInputInvalid
from counter.pricing.greeks import Greeks, greeks
from ledger.decimals import rounded

CENT = Decimal("0.01")


class Outlook:
    """One option with its quote, at `now`; one statement if its average has begun."""

    def __init__(self, quote: Quote, *, now: datetime) -> None:
        self._quote, self._now = quote, now
        self._window = (quote.option.underlying, quote.option.expires_at)
        self._averages = averages_begun([self._window], now=now)
        self._ratio = float(quote.forward or quote.index_price) / float(quote.index_price)

    def worth_at(self, index: Decimal) -> Decimal | None:
        """USDT that the option on one coin is worth now if the index is there; None where the model has no answer."""
        found = self._greeks(index=float(index), strike=float(self._quote.option.strike))
        return None if found is None else _decimal(found.value)

    def chance_beyond(self, price: Decimal) -> Decimal | None:
        """The model's probability, from 0 to 1, that it settles above `price`, of a put below it; None as above."""
        found = self._greeks(index=float(self._quote.index_price), strike=float(price))
        return None if found is None else _decimal(found.chance)

    def _greeks(self, *, index: float, strike: float) -> Greeks | None:
        option = self._quote.option
        try:
            return greeks(
                kind=option.kind,  # type: ignore[arg-type]
                forward=index * self._ratio,
                strike=strike,
                iv=float(self._quote.implied_volatility),
                averaging=averaging_at(
                    expires_at=option.expires_at, now=self._now, so_far=self._averages.get(self._window)
                ),
            )
        except ModelInputInvalid:
            return None


def _decimal(number: float) -> Decimal | None:
    return rounded(Decimal(repr(number)), CENT, ROUND_HALF_EVEN) if math.isfinite(number) else None
