"""Amounts as people read them. Pure; nothing that is shown here is calculated with again."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal

CENT = Decimal("0.01")
MINUS = "−"


def exact(amount: Decimal) -> str:
    """Every digit, at least two decimals: 1,234.50 or 0.000001."""
    places = max(2, -int(amount.normalize().as_tuple().exponent))
    return _signed(amount, f"{abs(amount):,.{places}f}")


def full(amount: Decimal) -> str:
    """All six decimals of USDT, so that amounts below each other are aligned."""
    return _signed(amount, f"{abs(amount):,.6f}")


def to_pay(amount: Decimal) -> str:
    """Two decimals, rounded up: a price never looks lower than it is."""
    return exact(amount.quantize(CENT, ROUND_UP))


def to_get(amount: Decimal) -> str:
    """Two decimals, rounded down: proceeds never look higher than they are."""
    return exact(amount.quantize(CENT, ROUND_DOWN))


def gain(amount: Decimal) -> str:
    """Two decimals with a sign, rounded down: neither a gain nor a loss looks better than it is."""
    rounded = amount.quantize(CENT, ROUND_DOWN if amount > 0 else ROUND_UP)
    return f"+{exact(rounded)}" if rounded > 0 else exact(rounded)


def to_cent(amount: Decimal) -> str:
    """Two decimals, to the nearest: of what is only an example."""
    return exact(amount.quantize(CENT, ROUND_HALF_EVEN) + 0)  # no negative zero


def near(amount: Decimal) -> str:
    """`to_cent` with a sign."""
    text = to_cent(amount)
    return f"+{text}" if amount > 0 and text != "0.00" else text


def level(price: Decimal) -> str:
    """A strike or an index: two decimals if it has any."""
    rounded = price.quantize(CENT, ROUND_HALF_EVEN)
    return f"{rounded:,.0f}" if rounded == rounded.to_integral_value() else f"{rounded:,.2f}"


def _signed(amount: Decimal, digits: str) -> str:
    return f"{MINUS}{digits}" if amount < 0 else digits
