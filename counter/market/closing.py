"""What closing positions would bring now, position by position as it is done, or why there is no such price.

Where a coin charges for size, each is priced as the first to be closed, unless they are asked for in turn.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from counter.circuit_breaker import TradingTerms
from counter.market.quotes import after_close, close_price
from counter.models import Option, Quote
from counter.pricing.formulas import PricingError
from counter.trading.status import Trading, terms, trading_by_coin
from infra.coordination.ages import age

ZERO = Decimal(0)


class NoPrice(Enum):
    """Why there is no price to close at."""

    EXPIRED = "expired"
    CLOSES_STOPPED = "closes_stopped"
    NO_BID = "no_bid"
    TOO_OLD = "too_old"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Brings:
    """USDT, None where `why` says that there is no price; `is_old`: it brings less with each second until a new one."""

    amount: Decimal | None
    why: NoPrice | None = None
    is_old: bool = False


class Closing:
    """Prices of closing at one moment, by the terms and the trading of that moment."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now
        self._coins = trading_by_coin(now=now)
        self._terms: TradingTerms = terms()

    def brings(self, option: Option, remaining: int, times: int = 1) -> Brings:
        """Of `times` positions with `remaining` contracts each; the option's quote has to be loaded."""
        return self._brings(option, remaining, times, self._coins.get(option.underlying, Trading()))

    def bring_in_turn(self, option: Option, remaining: Iterable[int]) -> list[Brings]:
        """Of positions of one option that are closed one after the other, each at the book that the ones before left.

        The option's quote has to be loaded.
        """
        trading, found = self._coins.get(option.underlying, Trading()), []
        for contracts in remaining:
            brings = self._brings(option, contracts, 1, trading)
            found.append(brings)
            if brings.why is None and contracts:
                trading = after_close(trading, option.quote, contracts)
        return found

    def _brings(self, option: Option, remaining: int, times: int, trading: Trading) -> Brings:
        if not remaining:
            return Brings(ZERO)
        quote: Quote | None = getattr(option, "quote", None)
        if option.expires_at <= self.now:
            return Brings(None, NoPrice.EXPIRED)
        if not trading.takes_closes:
            return Brings(None, NoPrice.CLOSES_STOPPED)
        if quote is None or not quote.bid:
            return Brings(None, NoPrice.NO_BID)
        quotes_age = age(quote.quoted_at, now=self.now)
        if quotes_age > max(self._terms.stale_after, self._terms.close_stale_after):
            return Brings(None, NoPrice.TOO_OLD)
        try:
            priced = close_price(quote, trading, self._terms, remaining, now=self.now)
        except PricingError:
            return Brings(None, NoPrice.TOO_LARGE)
        return Brings(priced.proceeds * times, is_old=quotes_age > self._terms.stale_after)
