"""Amounts as people read them. Pure; nothing that is shown here is calculated with again."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal

from ledger.decimals import EXACT, is_multiple, rounded

CENT = Decimal("0.01")
ONE, MICRO = Decimal(1), Decimal("0.000001")
MINUS = "−"


@dataclass(frozen=True, slots=True)
class Sums:
    """A price as it is added up, in cents; `exact_` to the last digit."""

    fair: str
    fee: str
    total: str
    exact_fair: str
    exact_fee: str
    exact_total: str


def sums(*, fair: Decimal, amount: Decimal, is_paid: bool) -> Sums:
    """Fair value and fee that add up to the amount, at two decimals too: the total is rounded as a price, up if it
    `is_paid` and down if it is got, the fair value to the nearest, and the fee is what lies between.
    """
    total = rounded(amount, CENT, ROUND_UP if is_paid else ROUND_DOWN)
    value = rounded(fair, CENT, ROUND_HALF_EVEN)
    sign = "+" if is_paid else MINUS
    fee, exact_fee = EXACT.subtract(total, value), EXACT.subtract(amount, fair)
    return Sums(
        exact(value),
        sign + exact(fee.copy_abs()),
        exact(total),
        full(fair),
        sign + full(exact_fee.copy_abs()),
        full(amount),
    )


def exact(amount: Decimal) -> str:
    """Every digit, at least two decimals: 1,234.50 or 0.000001."""
    places = max(2, -int(amount.normalize(EXACT).as_tuple().exponent))
    return _signed(amount, f"{amount.copy_abs():,.{places}f}")


def full(amount: Decimal) -> str:
    """All six decimals of USDT, so that amounts below each other are aligned."""
    return _signed(amount, f"{rounded(amount.copy_abs(), MICRO, ROUND_HALF_EVEN):,f}")


def to_pay(amount: Decimal) -> str:
    """Two decimals, rounded up: a price never looks lower than it is."""
    return exact(rounded(amount, CENT, ROUND_UP))


def to_get(amount: Decimal) -> str:
    """Two decimals, rounded down: proceeds never look higher than they are. Less than a cent is not nothing."""
    if 0 < amount < CENT:
        return "<0.01"
    return exact(rounded(amount, CENT, ROUND_DOWN))


def gain(amount: Decimal) -> str:
    """Two decimals with a sign, rounded down: neither a gain nor a loss looks better than it is."""
    shown = rounded(amount, CENT, ROUND_DOWN if amount > 0 else ROUND_UP)
    return f"+{exact(shown)}" if shown > 0 else exact(shown)


def to_cent(amount: Decimal) -> str:
    """Two decimals, to the nearest: of what is only an example."""
    return exact(EXACT.plus(rounded(amount, CENT, ROUND_HALF_EVEN)))  # no negative zero


def near(amount: Decimal) -> str:
    """`to_cent` with a sign."""
    is_gain = rounded(amount, CENT, ROUND_HALF_EVEN) > 0
    return f"+{to_cent(amount)}" if is_gain else to_cent(amount)


def level(price: Decimal) -> str:
    """A strike or an index: two decimals if it has any."""
    shown = rounded(price, CENT, ROUND_HALF_EVEN)
    return f"{shown:,.0f}" if is_multiple(shown, ONE) else f"{shown:,.2f}"


def percent(rate: Decimal) -> str:
    """A fraction as whole percent: 45 %."""
    return f"{rounded(rate * 100, ONE, ROUND_HALF_EVEN):,f}\u202f%"


def change(rate: Decimal) -> str:
    """A fraction as percent with a sign and two decimals: +1.25 %."""
    return f"{near(rate * 100)}\u202f%"


def share(number: Decimal) -> str:
    """A model's number between -1 and 1, two decimals."""
    return to_cent(rounded(number, CENT, ROUND_HALF_EVEN))


def _signed(amount: Decimal, digits: str) -> str:
    return f"{MINUS}{digits}" if amount < 0 else digits
