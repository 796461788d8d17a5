"""What the top of an order book has to be before anything is priced or traded at it.

A book can be read without an error and still be nonsense: one side gone, sides crossed, a bid of 900 under an ask of
90,000. Both systems ask here, each for the book that it reads.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from ledger.decimals import EXACT, product, quotient

PRICE_UNIT = Decimal("0.00000001")
PRICE_BELOW = Decimal(10**12)  # what a column of 20 digits holds, 8 of them decimals
MOST_DIGITS = 40  # of a price: sums and products of more may not be exact any more


class Flaw(StrEnum):
    """Why a book is not believed."""

    MALFORMED = "malformed"  # a side is no price
    ONE_SIDED = "one_sided"
    CROSSED = "crossed"
    WIDE = "wide"


def flaw_of(
    bid: Decimal | str | None, ask: Decimal | str | None, *, most_spread_rate: Decimal
) -> Flaw | None:
    """Return what is wrong with a book, or None.

    A side is a price in USDT, as a number or in digits; blank, None and 0 are a side that nobody offers.
    `most_spread_rate` is a fraction of the middle.
    """
    try:
        low, high = EXACT.create_decimal(bid or 0), EXACT.create_decimal(ask or 0)
    except (ArithmeticError, TypeError, ValueError):
        return Flaw.MALFORMED
    for side in (low, high):
        if (
            not side.is_finite()
            or side < 0
            or side >= PRICE_BELOW
            or len(side.as_tuple().digits) > MOST_DIGITS
        ):
            return Flaw.MALFORMED
    if low < PRICE_UNIT or high < PRICE_UNIT:
        return Flaw.ONE_SIDED
    if low > high:
        return Flaw.CROSSED
    if product(EXACT.subtract(high, low), 2) > product(EXACT.add(high, low), most_spread_rate):
        return Flaw.WIDE
    return None


def middle(bid: Decimal | str, ask: Decimal | str) -> Decimal:
    """Return the middle of a book without a flaw: 8 decimals, half-even."""
    both = EXACT.add(EXACT.create_decimal(bid), EXACT.create_decimal(ask))
    return quotient(both, 2, unit=PRICE_UNIT, rounding=ROUND_HALF_EVEN)
