"""Decimal amounts as the venue counts and prints them: eight places, no float anywhere.

Every rounding has a direction in its name, so that no amount is made by rounding.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
SATOSHI = Decimal("0.00000001")


def text(amount: Decimal) -> str:
    """The amount with eight decimals, as Binance prints it."""
    return f"{amount:.8f}"


def round_down(amount: Decimal, *, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above ``amount``."""
    return (amount / step).to_integral_value(rounding=ROUND_DOWN) * step


def round_up(amount: Decimal, *, step: Decimal) -> Decimal:
    """The smallest multiple of ``step`` that is not below ``amount``."""
    return (amount / step).to_integral_value(rounding=ROUND_UP) * step


def truncate(amount: Decimal) -> Decimal:
    """The amount cut after the eighth decimal."""
    return amount.quantize(SATOSHI, rounding=ROUND_DOWN)


def is_multiple(amount: Decimal, *, step: Decimal) -> bool:
    return step == 0 or amount % step == 0
