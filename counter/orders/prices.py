"""What an order of this moment gets: whether it is taken, and its price, by the quote of its option.

Pure: orders and firm quotes are admitted and priced here alike.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from counter import pricing
from counter.containment import Terms
from counter.ordering.order_requests import RejectCode, Rejected
from counter.ordering.order_rows import OptionRow

ZERO = Decimal(0)
RUNNING = (None, "RUNNING")
MAX_USDT = Decimal(10**14)  # what a column of 20 digits holds, 6 of them decimals
MAX_COIN = Decimal(10**12)


class Refused(Exception):
    """Carries a rejection out of the decision on one request."""

    def __init__(self, code: RejectCode, message: str) -> None:
        super().__init__(message)
        self.rejected = Rejected(code, message)


class Price(NamedTuple):
    """Premium and coin in coin, index in USDT for one coin, the rest in USDT; `amount` is cost or proceeds."""

    premium: Decimal
    index_price: Decimal
    coin: Decimal
    fair: Decimal
    spread: Decimal
    amount: Decimal


class Prices:
    """Admission and price at one moment, by the terms of all coins."""

    def __init__(self, *, terms: Terms, now: datetime) -> None:
        self.now = now
        self._terms = terms
        self._fresh_since = now - terms.stale_after
        self._closable_since = now - max(terms.stale_after, terms.close_stale_after)

    def admit_open(self, option: OptionRow) -> None:
        """Let an open through that its option and its coin take at present, whatever its price.

        Raises: Refused.
        """
        if option.stop not in RUNNING:
            raise Refused(RejectCode.TRADING_STOPPED, f"{option.underlying} takes no opening orders: stopped")
        if option.state == "HALTED":
            raise Refused(RejectCode.OPTION_HALTED, f"{option.symbol} is halted")
        if not self._terms.takes_opens(state=option.coin_state, judged_at=option.judged_at, now=self.now):
            raise Refused(RejectCode.COIN_HALTED, f"{option.underlying} takes no opening orders at present")
        self._check_alive(option)

    def admit_close(self, option: OptionRow) -> None:
        """Let a close through of a living option; a halted one can still be closed, one that is stopped wholly cannot.

        Raises: Refused.
        """
        if option.stop == "ALL_STOPPED":
            raise Refused(RejectCode.TRADING_STOPPED, f"{option.underlying} takes no orders at all: stopped")
        self._check_alive(option)

    def admit_instant(self, option: OptionRow) -> None:
        """Let a close through that is paid at once, unless too much of that is on its way already.

        Raises: Refused.
        """
        if option.pays_at_once is False:
            raise Refused(RejectCode.PAYOUT_AT_FILL_ONLY, "closes are paid at fill only at present")

    def open_price(self, option: OptionRow, contracts: int) -> Price:
        """What `contracts` cost now; the option takes opens.

        Raises: Refused; pricing.AmountTooLarge.
        """
        premium, index, _ = self._quoted(option, option.ask, self._fresh_since)
        price = pricing.open_cost(
            contracts=contracts,
            multiplier=option.multiplier,
            ask_premium=premium,
            index=index,
            spread_rate=self._terms.open_rate(option.spread_rate),
        )
        if price.fair <= ZERO:
            raise Refused(RejectCode.AMOUNT_TOO_SMALL, "the order is worth less than 0.000001 USDT")
        return Price(premium, index, price.coin, price.fair, price.spread, price.cost)

    def close_price(self, option: OptionRow, contracts: int, *, fresh: bool = False) -> Price:
        """What `contracts` bring now; by a price that has grown old less, or nothing if it has to be `fresh`.

        Raises: Refused; pricing.AmountTooLarge.
        """
        not_before = self._fresh_since if fresh else self._closable_since
        premium, index, quoted_at = self._quoted(option, option.bid, not_before)
        price = pricing.close_proceeds(
            contracts=contracts,
            multiplier=option.multiplier,
            bid_premium=premium,
            index=index,
            spread_rate=self._terms.close_rate(rate=option.spread_rate, quoted_at=quoted_at, now=self.now),
        )
        if price.proceeds <= ZERO:
            raise Refused(RejectCode.AMOUNT_TOO_SMALL, "the close is worth less than 0.000001 USDT")
        return Price(premium, index, price.coin, price.fair, price.spread, price.proceeds)

    def _check_alive(self, option: OptionRow) -> None:
        if option.expires_at <= self.now or option.state in ("EXPIRED", "SETTLED"):
            raise Refused(RejectCode.OPTION_EXPIRED, f"{option.symbol} has expired")

    def _quoted(
        self, option: OptionRow, premium: Decimal | None, not_before: datetime
    ) -> tuple[Decimal, Decimal, datetime]:
        """Premium, index and time of the option's quote."""
        if premium is None or option.index_price is None or option.quoted_at is None or premium <= ZERO:
            raise Refused(RejectCode.QUOTE_MISSING, f"{option.symbol} has no price on this side")
        if option.quoted_at < not_before:
            raise Refused(RejectCode.QUOTE_STALE, f"the price of {option.symbol} is too old; try again")
        return premium, option.index_price, option.quoted_at


def check_fits(coin: Decimal, usdt: Decimal) -> None:
    """One amount that no column can hold would fail the write of the whole batch.

    Raises: Refused.
    """
    if coin >= MAX_COIN or usdt >= MAX_USDT:
        raise Refused(RejectCode.AMOUNT_TOO_LARGE, "the order's amounts are larger than what is kept")
