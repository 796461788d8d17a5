"""Exact arithmetic of settlement: Decimal amounts as whole units of 1e-8, values and shares of them.

Integers neither round nor overflow, in any decimal context of the thread, so a sum of parts is the whole. An
amount finer than a unit is refused, never rounded in silence.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, Inexact, InvalidOperation

from ledger.decimals import EXACT, product, rounded

SCALE = 8
UNITS_PER_ONE = 10**SCALE

_ONE_UNIT = Decimal("0.00000001")
_NOTHING = Decimal("0.00000000")


class NettingError(ValueError):
    """The batch cannot be netted or settled."""

    code = "netting_error"


class AmountInvalid(NettingError):
    """An amount is not a Decimal, not finite, finer than its scale, or outside its range."""

    code = "amount_invalid"

    def __init__(self, *, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field} must be {expected}, got {value!r}")
        self.field = field


def to_units(amount: Decimal, field: str) -> int:
    """Return `amount` as units of 1e-8; `field` names it in the error.

    Raises: AmountInvalid.
    """
    if type(amount) is Decimal and amount.is_finite():
        try:
            return int(EXACT.to_integral_exact(amount.scaleb(SCALE, EXACT)))
        except (Inexact, InvalidOperation):
            pass
    raise AmountInvalid(field=field, value=amount, expected="a finite Decimal with at most 8 decimals")


def to_positive_units(amount: Decimal, field: str) -> int:
    """Return `amount` as units of 1e-8, more than 0.

    Raises: AmountInvalid.
    """
    units = to_units(amount, field)
    if units <= 0:
        raise AmountInvalid(field=field, value=amount, expected="positive")
    return units


def to_amount(units: int) -> Decimal:
    """Return units of 1e-8 as a Decimal with 8 decimals."""
    return EXACT.multiply(units, _ONE_UNIT) if units else _NOTHING


def value_units(coin: int, price: int) -> int:
    """Return what `coin` units are worth at a price in units of USDT per whole coin, half-even."""
    return divide_half_even(coin * price, UNITS_PER_ONE)


def divide_half_even(numerator: int, denominator: int) -> int:
    """Return the quotient rounded half-even, symmetric about 0; the denominator is positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def allocate(total: int, weights: Sequence[int], order_ids: Sequence[int]) -> list[int]:
    """Split `total` by positive `weights` into whole parts that add up to it; nothing for no weights.

    The largest-remainder method (Hamilton): every part is rounded down, and what is missing goes one unit
    each to the largest remainders, ties to the lower order id. So each part is less than one unit from its
    exact proportion.
    """
    whole = sum(weights)
    # Floor division keeps remainders non-negative for a negative total (a rebate) as well.
    divided = [divmod(total * weight, whole) for weight in weights]
    parts = [part for part, _ in divided]
    missing = total - sum(parts) if parts else 0
    if missing:
        remainders = [remainder for _, remainder in divided]
        by_id = sorted(range(len(parts)), key=order_ids.__getitem__)
        # Reversed sorting is stable too: equal remainders stay in the order of their ids.
        for place in sorted(by_id, key=remainders.__getitem__, reverse=True)[:missing]:
            parts[place] += 1
    return parts


def worth_usdt(price: Decimal, coin: Decimal) -> Decimal:
    """Price times coin, to 8 decimals, half-even."""
    return rounded(product(price, coin), _ONE_UNIT, ROUND_HALF_EVEN)
