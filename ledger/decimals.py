"""Arithmetic of money and prices that asks nothing of the calling thread.

A thread's decimal context is what was called before has left there (ccxt's number formatting sets ROUND_HALF_UP and
traps Underflow). So every rounding is named, every division goes through `quotient`, and sums and products of an
operation are calculated in a context of our own. `tests/architecture/test_rounding_is_named.py` refuses the rest.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import (
    ROUND_05UP,
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from fractions import Fraction

# Made once: making a context costs more than a whole price.
# Sums and products must be exact, so an inexact one raises; only an explicit rounding may drop digits.
EXACT = Context(prec=96, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
ROUNDED = Context(prec=40, rounding=ROUND_DOWN, traps=[InvalidOperation, DivisionByZero, Overflow])
_OURS = Context(prec=96, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])

# Digits that are cut off leave a last one other than 0 and 5, so rounding what is left rounds the quotient itself.
_STICKY = Context(prec=96, rounding=ROUND_05UP, traps=[InvalidOperation, DivisionByZero, Overflow])
_WHOLE = Context(prec=90, traps=[InvalidOperation])
_ONE, _ZERO = Decimal(1), Decimal(0)


@contextmanager
def calculating() -> Iterator[None]:
    """Calculate with 96 digits, half-even, not in the thread's context; also a decorator. The thread's comes back."""
    with localcontext(_OURS):
        yield


def rounded(amount: Decimal, unit: Decimal, rounding: str) -> Decimal:
    """Return `amount` as a multiple of `unit`, a power of ten. Raises: InvalidOperation for more than 40 digits."""
    return amount.quantize(unit, rounding, ROUNDED)


def is_multiple(amount: Decimal, unit: Decimal) -> bool:
    """Whether a finite `amount` has no digit below `unit`."""
    return (Fraction(amount) / Fraction(unit)).denominator == 1


def product(first: Decimal, *others: Decimal | int) -> Decimal:
    """Return the exact product. Raises: Inexact beyond 96 digits."""
    for other in others:
        first = EXACT.multiply(first, other)
    return first


def quotient(dividend: Decimal, divisor: Decimal | int, *, unit: Decimal, rounding: str) -> Decimal:
    """Return dividend / divisor as a multiple of `unit`, rounded once: by ROUND_FLOOR, _CEILING, _DOWN or _HALF_EVEN.

    Raises: ZeroDivisionError; ValueError for what is not finite; InvalidOperation for more than 90 digits.
    """
    units = EXACT.multiply(divisor, unit)
    if not units:
        raise ZeroDivisionError(f"{dividend} / {divisor}")
    if not (units.is_finite() and dividend.is_finite()):
        raise ValueError(f"no quotient of {dividend} and {divisor}")
    whole = _STICKY.divide(dividend, units).quantize(_ONE, rounding, _WHOLE)
    return EXACT.multiply(whole or _ZERO, unit)  # a zero has no sign
