"""A quotient is the one that fractions give, rounded once, in each of the four directions."""

import math
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.decimals import EXACT, quotient

WHOLE = {
    ROUND_FLOOR: math.floor,
    ROUND_CEILING: math.ceil,
    ROUND_DOWN: math.trunc,
    ROUND_HALF_EVEN: round,
}
amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=16)
# Few and small: every second quotient is a tie or next to one.
small = st.integers(-20, 20).map(lambda units: Decimal(units).scaleb(-3))
# Products of prices and amounts, and what is one digit far below the unit away from a tie.
long = st.builds(lambda amount, ends: EXACT.add(amount, Decimal(ends).scaleb(-60)), small, st.integers(-1, 1))
divisors = st.one_of(amounts, small, st.integers(-50, 50)).filter(bool)


@given(
    dividend=st.one_of(amounts, small, long),
    divisor=divisors,
    unit=st.sampled_from([Decimal(1), Decimal("0.01"), Decimal("0.00000001"), Decimal(100)]),
    rounding=st.sampled_from(sorted(WHOLE)),
)
@example(dividend=Decimal(5), divisor=2, unit=Decimal(1), rounding=ROUND_HALF_EVEN)
@example(dividend=Decimal(7), divisor=2, unit=Decimal(1), rounding=ROUND_HALF_EVEN)
@example(dividend=Decimal(-5), divisor=2, unit=Decimal(1), rounding=ROUND_HALF_EVEN)
@example(dividend=Decimal(-7), divisor=-2, unit=Decimal(1), rounding=ROUND_DOWN)
@example(dividend=Decimal(-1), divisor=3, unit=Decimal(1), rounding=ROUND_DOWN)
@example(dividend=Decimal(4), divisor=2, unit=Decimal(1), rounding=ROUND_HALF_EVEN)
def test_a_quotient_is_that_of_fractions(dividend, divisor, unit, rounding):
    units = WHOLE[rounding](Fraction(dividend) / (Fraction(divisor) * Fraction(unit)))
    found = quotient(dividend, divisor, unit=unit, rounding=rounding)
    assert found.as_tuple() == (units * unit).as_tuple(), "the same digits, and no sign of a zero"


def test_a_quotient_next_to_a_whole_number_by_less_than_its_digits_is_not_taken_for_it():
    much = 10**96
    above, below, divisor = Decimal(much + 1), Decimal(much - 1), Decimal(much)
    assert quotient(above, divisor, unit=Decimal(1), rounding=ROUND_CEILING) == 2
    assert quotient(below, divisor, unit=Decimal(1), rounding=ROUND_FLOOR) == 0
    half = {"unit": Decimal(1), "rounding": ROUND_HALF_EVEN}
    assert quotient(Decimal(5 * much + 1), Decimal(2 * much), **half) == 3
    assert quotient(Decimal(7 * much - 1), Decimal(2 * much), **half) == 3
    assert quotient(Decimal(5), 2, **half) == 2


@pytest.mark.parametrize("pair", [("NaN", 1), ("Infinity", 1), (1, "NaN"), (1, "Infinity"), (1, "-Infinity")])
def test_what_is_not_finite_has_no_quotient(pair):
    dividend, divisor = map(Decimal, pair)
    with pytest.raises(ValueError, match="no quotient"):
        quotient(dividend, divisor, unit=Decimal(1), rounding=ROUND_DOWN)


@pytest.mark.parametrize("rounding", sorted(WHOLE))
def test_nothing_is_divided_by_zero(rounding):
    with pytest.raises(ZeroDivisionError):
        quotient(Decimal(1), 0, unit=Decimal(1), rounding=rounding)
