"""Gains against a benchmark: exact sums, a mean between its parts, and the two sides as mirrors."""

from decimal import Decimal
from fractions import Fraction
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from ledger.decimals import product
from settlement.conversions.execution.gains import HUNDREDTH, Gain, gain

SIDES = st.sampled_from(["buy", "sell"])
COIN = st.decimals(Decimal("0.00000001"), Decimal(10**10), places=8)
USDT = st.decimals(Decimal("0.00000001"), Decimal(10**18), places=8)
PRICE = st.decimals(Decimal("0.00000001"), Decimal(10**10), places=8)
TERMS = st.fixed_dictionaries({"side": SIDES, "coin": COIN, "usdt": USDT, "benchmark": PRICE})


def exact_bps(gained):
    return 10_000 * Fraction(gained.usdt) / Fraction(gained.notional)


@given(TERMS)
def test_it_is_the_formula_to_the_last_digit_and_rounded_once(terms):
    sign = 1 if terms["side"] == "buy" else -1
    price = Fraction(terms["usdt"]) / Fraction(terms["coin"])
    benchmark = Fraction(terms["benchmark"])
    found = gain(**terms)
    assert Fraction(found.usdt) == sign * (benchmark - price) * Fraction(terms["coin"])
    assert exact_bps(found) == 10_000 * sign * (benchmark - price) / benchmark
    assert abs(Fraction(found.basis_points) - exact_bps(found)) <= Fraction(HUNDREDTH) / 2


@given(TERMS)
def test_the_other_side_of_the_same_trade_is_the_mirror(terms):
    other = {"buy": "sell", "sell": "buy"}[terms["side"]]
    one, mirror = gain(**terms), gain(**{**terms, "side": other})
    assert (Fraction(one.usdt), one.notional) == (-Fraction(mirror.usdt), mirror.notional)
    assert Fraction(one.basis_points) == -Fraction(mirror.basis_points)


@given(st.lists(TERMS, min_size=1, max_size=8), st.randoms())
def test_the_mean_lies_between_its_parts_and_no_order_changes_it(many, random):
    parts = [gain(**terms) for terms in many]
    total = reduce(Gain.__add__, parts, Gain())
    assert min(map(exact_bps, parts)) <= exact_bps(total) <= max(map(exact_bps, parts))
    assert total.conversions == len(parts)
    random.shuffle(parts)
    assert reduce(Gain.__add__, parts, Gain()) == total


@given(TERMS, st.integers(2, 1000))
def test_a_conversion_in_parts_at_one_price_gains_what_it_gains_whole(terms, times):
    amounts = {name: product(terms[name], times) for name in ("coin", "usdt")}
    whole, part = gain(**terms | amounts), gain(**terms)
    assert whole.usdt == product(part.usdt, times)
    assert whole.basis_points == part.basis_points
