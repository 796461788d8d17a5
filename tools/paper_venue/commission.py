"""What a fill costs: a fraction of what is received, or BNB at a discount if the account chose so.

Commission is cut after the eighth decimal and never takes more BNB than the account has to spare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from tools.paper_venue.amounts import ONE, ZERO, truncate
from tools.paper_venue.matching import Match
from tools.paper_venue.records import Side
from tools.paper_venue.symbols import Symbol

BNB = "BNB"
BNB_SYMBOL = "BNBUSDT"
BNB_DISCOUNT = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class Commission:
    """Rates as fractions of the value traded."""

    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")

    def rate(self, *, is_maker: bool) -> Decimal:
        return self.maker if is_maker else self.taker


class Charge(NamedTuple):
    amount: Decimal
    asset: str


def charges(
    *,
    symbol: Symbol,
    side: Side,
    fills: Iterable[Match],
    rate: Decimal,
    spare_bnb: Decimal,
    bnb_price: Decimal,
) -> Iterator[Charge]:
    """One charge for each fill; ``spare_bnb`` is zero for an account that does not pay in BNB."""
    for fill in fills:
        value = fill.price * fill.quantity
        in_bnb = truncate(value * rate * (ONE - BNB_DISCOUNT) / bnb_price) if spare_bnb > 0 else ZERO
        if spare_bnb >= in_bnb > 0:
            spare_bnb -= in_bnb
            yield Charge(in_bnb, BNB)
        elif side is Side.BUY:
            yield Charge(truncate(fill.quantity * rate), symbol.base)
        else:
            yield Charge(truncate(value * rate), symbol.quote)
