"""What an order of any size costs or brings at a quote: its worth, what its size is charged, and the spread."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from counter.pricing import formulas
from counter.pricing.impact import CoinBook, ImpactRates, Measures, flow_of, impact
from ledger.decimals import product

ZERO = Decimal(0)


class Quoted(NamedTuple):
    """One side of an option's quote: `premium`, `delta` and `vega` of an option on one coin, `index_price` in USDT."""

    multiplier: Decimal
    premium: Decimal
    index_price: Decimal
    delta: Decimal | None
    vega: Decimal | None

    def flow(self, contracts: int, *, opens: bool) -> Measures:
        """How an order moves its coin's book."""
        return flow_of(
            opens=opens,
            contracts=contracts,
            multiplier=self.multiplier,
            premium=self.premium,
            delta=self.delta,
            vega=self.vega,
        )

    def worth(self, contracts: int) -> Decimal:
        """USDT, exact."""
        return product(self.multiplier, contracts, self.premium, self.index_price)


class Charging(NamedTuple):
    """What size is charged by: the coin's book, None where it charges nothing, and what the customer was promised."""

    book: CoinBook | None
    rates: ImpactRates
    reserved: Iterable[Measures] = ()

    def charge(
        self, quoted: Quoted, contracts: int, *, opens: bool, is_converted_at_fill: bool = False
    ) -> Decimal:
        """What an order is charged for its size, USDT.

        Raises: AmountTooLarge.
        """
        if self.book is None:
            return ZERO
        return impact(
            book=self.book,
            flow=quoted.flow(contracts, opens=opens),
            reserved=self.reserved,
            index=quoted.index_price,
            worth=quoted.worth(contracts),
            rates=self.rates,
            is_converted_at_fill=is_converted_at_fill,
        )


def open_cost(
    quoted: Quoted, contracts: int, charging: Charging, *, spread_rate: Decimal
) -> formulas.OpenPrice:
    """What an open at the quote's ask costs.

    Raises: AmountTooLarge.
    """
    return formulas.open_cost(
        contracts=contracts,
        multiplier=quoted.multiplier,
        ask_premium=quoted.premium,
        index=quoted.index_price,
        spread_rate=spread_rate,
        impact=charging.charge(quoted, contracts, opens=True),
    )


def close_proceeds(
    quoted: Quoted, contracts: int, charging: Charging, *, spread_rate: Decimal
) -> formulas.ClosePrice:
    """What an instant close at the quote's bid brings.

    Raises: AmountTooLarge.
    """
    return formulas.close_proceeds(
        contracts=contracts,
        multiplier=quoted.multiplier,
        bid_premium=quoted.premium,
        index=quoted.index_price,
        spread_rate=spread_rate,
        impact=charging.charge(quoted, contracts, opens=False),
    )
