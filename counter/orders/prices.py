"""What an order of this moment gets: whether it is taken, and its price, by the quote of its option.

Pure: orders and firm quotes are admitted and priced here alike.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from counter.circuit_breaker import TradingTerms
from counter.contracts import AT_FILL_TOLERANCE_RATE
from counter.limits.reached import Reached
from counter.option_state import OptionState
from counter.orders.requests import RejectCode, Rejected
from counter.orders.rows import OptionRow, PositionRow
from counter.pricing import formulas
from counter.pricing.impact import Measures
from counter.pricing.sized import Charging, Quoted, close_proceeds, open_cost
from infra.coordination.ages import lies_ahead
from ledger.decimals import EXACT, product

ZERO, ONE = Decimal(0), Decimal(1)
RUNNING = (None, "RUNNING")
MAX_USDT = Decimal(10**14)  # what a column of 20 digits holds, 6 of them decimals
MAX_COIN = Decimal(10**12)


class OrderRefused(Exception):
    """Carries a rejection out of the decision on one request."""

    def __init__(
        self,
        code: RejectCode,
        message: str,
        reached: Reached | None = None,
        detail: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.rejected = Rejected(code, message, reached, detail)


class Price(NamedTuple):
    """Premium and coin in coin, index in USDT for one coin, the rest in USDT; `amount` is cost or proceeds."""

    premium: Decimal
    index_price: Decimal
    coin: Decimal
    fair: Decimal
    spread: Decimal
    amount: Decimal


class Prices:
    """Admission and price at one moment, by the terms of all coins.

    `reserved` are flows that the order's customer was promised prices for and may still have.
    """

    def __init__(self, *, terms: TradingTerms, now: datetime) -> None:
        self.now = now
        self._terms = terms
        self._fresh_since = now - terms.stale_after
        self._closable_since = now - max(terms.stale_after, terms.close_stale_after)
        self._admitted: set[int] = set()  # options that take opens at this moment: each is looked at once

    def admit_open(self, option: OptionRow) -> None:
        """Let an open through that its option and its coin take at present, at any price.

        Raises: OrderRefused.
        """
        if option.id in self._admitted:
            return
        if option.stop not in RUNNING:
            raise OrderRefused(
                RejectCode.TRADING_STOPPED, f"{option.underlying} takes no opening orders: stopped"
            )
        if option.state == OptionState.HALTED:
            raise OrderRefused(RejectCode.OPTION_HALTED, f"{option.symbol} is halted")
        if not self._terms.takes_opens(state=option.coin_state, judged_at=option.judged_at, now=self.now):
            raise OrderRefused(
                RejectCode.COIN_HALTED, f"{option.underlying} takes no opening orders at present"
            )
        self._check_alive(option)
        if self.now >= self.opens_end_at(option):
            raise OrderRefused(RejectCode.OPENS_ENDED, f"{option.symbol} expires too soon to be opened")
        self._admitted.add(option.id)

    def opens_end_at(self, option: OptionRow) -> datetime:
        """From when on the option takes no opens."""
        return self._terms.opens_end_at(option.expires_at)

    def admit_close(self, option: OptionRow) -> None:
        """Let a close through of a living option; a halted one can still be closed, one that is stopped wholly cannot.

        Raises: OrderRefused.
        """
        if option.stop == "ALL_STOPPED":
            raise OrderRefused(
                RejectCode.TRADING_STOPPED, f"{option.underlying} takes no orders at all: stopped"
            )
        self._check_alive(option)

    def admit_instant(self, option: OptionRow, *, promised: bool = False) -> None:
        """Let a close through that is paid at once, unless too much of that is on its way already or the index leaps.

        What was `promised` by a firm quote stops at a leap only: the price was good when it was given, and may not have
        been.

        Raises: OrderRefused.
        """
        if option.pays_at_once is False and (option.leaps or not promised):
            raise OrderRefused(RejectCode.PAYOUT_AT_FILL_ONLY, "closes are paid at fill only at present")

    def check_risen(self, option: OptionRow, price: Price) -> None:
        """Refuse an open that names no bound at a price well above one that its customer may just have seen.

        Raises: OrderRefused.
        """
        tolerated = EXACT.add(ONE, self._terms.price_tolerance_rate)
        if option.seen_ask is not None and product(price.premium, price.index_price) > product(
            option.seen_ask, tolerated
        ):
            raise OrderRefused(
                RejectCode.PRICE_MOVED, f"{option.symbol} has just risen; send max_cost or a quote_id"
            )

    def check_fallen(self, option: OptionRow, price: Price) -> None:
        """Refuse a close that names no bound at a price well below one that its customer may just have seen.

        Raises: OrderRefused.
        """
        tolerated = EXACT.subtract(ONE, self._terms.price_tolerance_rate)
        if option.seen_bid is not None and product(price.premium, price.index_price) < product(
            option.seen_bid, tolerated
        ):
            raise OrderRefused(
                RejectCode.PRICE_MOVED, f"{option.symbol} has just fallen; send min_proceeds or a quote_id"
            )

    def check_size(
        self,
        option: OptionRow,
        contracts: int,
        price: Price,
        reserved: Iterable[Measures] = (),
        *,
        opens: bool,
        at_fill: bool = False,
    ) -> None:
        """Refuse an order that names no bound and whose size alone moves its price by much.

        What is shown is the price of one contract: so often what that is charged may be charged, and the tolerance.

        Raises: OrderRefused.
        """
        if option.book is None:
            return
        quoted = quoted_at(option, price.premium, price.index_price)
        charging = Charging(option.book, self._terms.impact_rates, list(reserved))
        whole, one = (
            charging.charge(quoted, count, opens=opens, is_converted_at_fill=at_fill)
            for count in (contracts, 1)
        )
        tolerated = product(self._terms.price_tolerance_rate, quoted.worth(contracts))
        if whole > EXACT.add(product(one, contracts), tolerated):
            bound = "max_cost" if opens else "min_proceeds"
            raise OrderRefused(
                RejectCode.PRICE_MOVED,
                f"so many contracts of {option.symbol} move its price; send {bound} or a quote_id",
            )

    def open_price(self, option: OptionRow, contracts: int, reserved: Iterable[Measures] = ()) -> Price:
        """What `contracts` cost now; the option takes opens.

        Raises: OrderRefused; pricing.AmountTooLarge.
        """
        quoted, _ = self._quoted(option, option.ask, self._fresh_since)
        price = open_cost(
            quoted,
            contracts,
            Charging(option.book, self._terms.impact_rates, reserved),
            spread_rate=self._terms.open_rate(option.spread_rate),
        )
        if price.fair <= ZERO:
            raise OrderRefused(RejectCode.AMOUNT_TOO_SMALL, "the order is worth less than 0.000001 USDT")
        return Price(quoted.premium, quoted.index_price, price.coin, price.fair, price.spread, price.cost)

    def close_price(
        self,
        option: OptionRow,
        contracts: int,
        reserved: Iterable[Measures] = (),
        *,
        fresh: bool = False,
    ) -> Price:
        """What `contracts` bring now; by a price that has grown old less, or nothing if it has to be `fresh`.

        Raises: OrderRefused; pricing.AmountTooLarge.
        """
        not_before = self._fresh_since if fresh else self._closable_since
        quoted, at = self._quoted(option, option.bid, not_before)
        price = close_proceeds(
            quoted,
            contracts,
            Charging(option.book, self._terms.impact_rates, reserved),
            spread_rate=self._terms.close_rate(rate=option.spread_rate, quoted_at=at, now=self.now),
        )
        if price.proceeds <= ZERO:
            raise OrderRefused(RejectCode.AMOUNT_TOO_SMALL, "the close is worth less than 0.000001 USDT")
        return Price(quoted.premium, quoted.index_price, price.coin, price.fair, price.spread, price.proceeds)

    def fill_price(self, option: OptionRow, contracts: int, reserved: Iterable[Measures] = ()) -> Price:
        """The coin that a close of `contracts` at fill sells now, what it is worth, and the least it will be paid.

        Where an instant close would meet a widened spread, as much less coin is sold, and less by what it is charged
        for its size.

        Raises: OrderRefused; pricing.AmountTooLarge.
        """
        quoted, at = self._quoted(option, option.bid, self._closable_since)
        charging = Charging(option.book, self._terms.impact_rates, reserved)
        price = formulas.close_at_fill(
            contracts=contracts,
            multiplier=option.multiplier,
            bid_premium=quoted.premium,
            index=quoted.index_price,
            protective_rate=self._terms.protective_rate(rate=option.spread_rate, quoted_at=at, now=self.now),
            tolerance_rate=AT_FILL_TOLERANCE_RATE,
            impact=charging.charge(quoted, contracts, opens=False, is_converted_at_fill=True),
        )
        if price.fair <= ZERO:
            raise OrderRefused(RejectCode.AMOUNT_TOO_SMALL, "the close is worth less than 0.000001 USDT")
        return Price(quoted.premium, quoted.index_price, price.coin, price.fair, price.spread, price.proceeds)

    def _check_alive(self, option: OptionRow) -> None:
        if option.expires_at <= self.now or option.state in (OptionState.EXPIRED, OptionState.SETTLED):
            raise OrderRefused(RejectCode.OPTION_EXPIRED, f"{option.symbol} has expired")

    def _quoted(
        self, option: OptionRow, premium: Decimal | None, not_before: datetime
    ) -> tuple[Quoted, datetime]:
        """One side of the option's quote, and its time."""
        if premium is None or option.index_price is None or option.quoted_at is None or premium <= ZERO:
            raise OrderRefused(RejectCode.QUOTE_MISSING, f"{option.symbol} has no price on this side")
        if option.quoted_at < not_before or lies_ahead(option.quoted_at, now=self.now):
            raise OrderRefused(RejectCode.QUOTE_STALE, f"the price of {option.symbol} is too old; try again")
        return quoted_at(option, premium, option.index_price), option.quoted_at


def quoted_at(option: OptionRow, premium: Decimal, index: Decimal) -> Quoted:
    """The option at a premium and index that it is or was quoted at."""
    return Quoted(option.multiplier, premium, index, option.delta, option.vega)


def too_small(position: PositionRow) -> OrderRefused:
    """The refusal of a close of more contracts than a position has left."""
    return OrderRefused(
        RejectCode.POSITION_TOO_SMALL,
        f"{position.remaining} of {position.contracts} contracts are left in the position",
        Reached("contracts", left=position.remaining, limit=position.contracts),
    )


def check_fits(coin: Decimal, usdt: Decimal) -> None:
    """One amount that no column can hold would fail the write of the whole batch.

    Raises: OrderRefused.
    """
    if coin >= MAX_COIN or usdt >= MAX_USDT:
        raise OrderRefused(RejectCode.AMOUNT_TOO_LARGE, "the order's amounts are larger than what is kept")
