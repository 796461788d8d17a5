"""What one venue order executed, and its reading in exact units with one average price.

A fill is whole or absent: coin without its USDT, or a fee without a fill, is refused.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from settlement.netting.units import UNITS_PER_ONE, AmountInvalid, NettingError, divide_half_even, to_units

Side = Literal["buy", "sell"]


class SideInvalid(NettingError):
    """A side or payout is none of the known ones."""

    code = "side_invalid"


@dataclass(frozen=True, slots=True)
class FillTotals:
    """All that one venue order executed: gross coin, exact quote amount, and commissions by what they took.

    `fee_coin` was taken in coin, `fee_usdt` in USDT, `fee_other_usdt` is the USDT value of one taken in a
    third asset. A rebate is negative.
    """

    side: Side
    coin: Decimal
    usdt: Decimal
    fee_coin: Decimal = Decimal(0)
    fee_usdt: Decimal = Decimal(0)
    fee_other_usdt: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Execution:
    """A fill in units, signed as seen by the desk's need: + bought, - sold. Price 0: nothing was executed."""

    price: int
    coin: int
    usdt: int
    fee_coin: int
    fee_usdt: int
    fee_other_usdt: int


_NOTHING_EXECUTED = Execution(0, 0, 0, 0, 0, 0)


def executed(fill: FillTotals | None) -> Execution:
    """Return `fill` in signed units.

    Raises: AmountInvalid, SideInvalid.
    """
    if fill is None:
        return _NOTHING_EXECUTED
    if fill.side not in ("buy", "sell"):
        raise SideInvalid(f"fill.side must be 'buy' or 'sell', got {fill.side!r}")
    coin = to_units(fill.coin, "fill.coin")
    usdt = to_units(fill.usdt, "fill.usdt")
    fees = (
        to_units(fill.fee_coin, "fill.fee_coin"),
        to_units(fill.fee_usdt, "fill.fee_usdt"),
        to_units(fill.fee_other_usdt, "fill.fee_other_usdt"),
    )
    if coin == 0 and usdt == 0 and not any(fees):
        return _NOTHING_EXECUTED
    if coin <= 0 or usdt <= 0:
        raise AmountInvalid(
            field="fill", value=fill, expected="positive in coin and in usdt, or nothing at all"
        )
    price = divide_half_even(usdt * UNITS_PER_ONE, coin)
    if price == 0:
        raise AmountInvalid(field="fill", value=fill, expected="at a price that 8 decimals can express")
    sign = 1 if fill.side == "buy" else -1
    return Execution(price, sign * coin, sign * usdt, *fees)
