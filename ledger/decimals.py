"""Arithmetic of money and prices that asks nothing of the calling thread.

A thread's decimal context is what was called before has left there (ccxt's number formatting sets ROUND_HALF_UP and
traps Underflow). So every rounding is named, every division goes through `quotient`, and sums and products of an
operation are calculated in a context of our own. `tests/architecture/test_rounding_is_named.py` refuses the rest.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
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

# Whole units of a quotient: from its floor, the remainder (not negative) and the divisor (positive).
_WHOLE: dict[str, Callable[[int, int, int], int]] = {
    ROUND_FLOOR: lambda floor, rest, divisor: floor,
    ROUND_CEILING: lambda floor, rest, divisor: floor + (rest > 0),
    ROUND_DOWN: lambda floor, rest, divisor: floor + (rest > 0 > floor),
    ROUND_HALF_EVEN: lambda floor, rest, divisor: floor + (2 * rest > divisor - floor % 2),
}


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

    Raises: ZeroDivisionError.
    """
    # Whole numbers, not Fractions: those take a greatest common divisor at each step, and seven times as long.
    (above, below), (by, part), (size, parts) = (
        each.as_integer_ratio() for each in (dividend, divisor, unit)
    )
    numerator, denominator = above * part * parts, below * by * size
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    floor, rest = divmod(numerator, denominator)
    return EXACT.multiply(Decimal(_WHOLE[rounding](floor, rest, denominator)), unit)
