from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from counter.pricing.formulas import USDT_UNIT, close_proceeds, exercise_proceeds, open_cost, payoff_coin

contracts = st.integers(1, 10_000_000)
multipliers = st.sampled_from([Decimal("0.01"), Decimal("0.1"), Decimal(1)])
premiums = st.decimals("0.000001", "5", places=6)
indexes = st.decimals("0.01", "1000000", places=2) | st.decimals("0.00000001", "1000000", places=8)
rates = st.decimals("0", "0.999999", places=6)
kinds = st.sampled_from(["C", "P"])

COIN = Fraction(1, 10**8)
USDT = Fraction(1, 10**6)


@given(contracts, multipliers, premiums, indexes, rates)
def test_an_open_order_is_exact_to_the_unit(contracts, multiplier, premium, index, rate):
    price = open_cost(
        contracts=contracts, multiplier=multiplier, ask_premium=premium, index=index, spread_rate=rate
    )
    assert price.coin == contracts * Fraction(multiplier) * Fraction(premium)
    value = Fraction(price.coin) * Fraction(index)
    assert 0 <= Fraction(price.cost) - value * (1 + Fraction(rate)) < USDT
    assert abs(Fraction(price.fair) - value) <= USDT / 2
    assert price.fair + price.spread == price.cost
    assert price.spread >= 0
    assert price.cost > 0


@given(contracts, multipliers, premiums, indexes, rates)
def test_a_close_order_is_exact_to_the_unit(contracts, multiplier, premium, index, rate):
    price = close_proceeds(
        contracts=contracts, multiplier=multiplier, bid_premium=premium, index=index, spread_rate=rate
    )
    assert price.coin == contracts * Fraction(multiplier) * Fraction(premium)
    value = Fraction(price.coin) * Fraction(index)
    assert 0 <= value * (1 - Fraction(rate)) - Fraction(price.proceeds) < USDT
    assert abs(Fraction(price.fair) - value) <= USDT / 2
    assert price.fair - price.spread == price.proceeds
    assert price.spread >= 0
    assert price.proceeds >= 0


@given(contracts, multipliers, st.decimals("0.0000000001", "5", places=10), indexes, rates)
def test_opening_and_closing_at_one_premium_never_pays_the_customer(
    contracts, multiplier, premium, index, rate
):
    same = {"contracts": contracts, "multiplier": multiplier, "index": index, "spread_rate": rate}
    opened = open_cost(**same, ask_premium=premium)
    closed = close_proceeds(**same, bid_premium=premium)
    assert closed.coin <= opened.coin
    assert closed.proceeds <= opened.cost


@given(contracts, contracts, multipliers, premiums, indexes, rates)
def test_splitting_an_order_never_helps_the_customer(first, second, multiplier, premium, index, rate):
    same = {"multiplier": multiplier, "index": index, "spread_rate": rate}
    whole = open_cost(**same, contracts=first + second, ask_premium=premium)
    parts = [open_cost(**same, contracts=n, ask_premium=premium) for n in (first, second)]
    assert sum(part.coin for part in parts) == whole.coin
    assert 0 <= sum(part.cost for part in parts) - whole.cost <= USDT_UNIT
    whole = close_proceeds(**same, contracts=first + second, bid_premium=premium)
    parts = [close_proceeds(**same, contracts=n, bid_premium=premium) for n in (first, second)]
    assert 0 <= whole.proceeds - sum(part.proceeds for part in parts) <= USDT_UNIT


@given(contracts, multipliers, premiums, indexes, st.tuples(rates, rates).map(sorted))
def test_a_wider_spread_costs_more_and_pays_less(contracts, multiplier, premium, index, rates):
    same = {"contracts": contracts, "multiplier": multiplier, "index": index}
    narrow, wide = (open_cost(**same, ask_premium=premium, spread_rate=rate) for rate in rates)
    assert narrow.cost <= wide.cost
    narrow, wide = (close_proceeds(**same, bid_premium=premium, spread_rate=rate) for rate in rates)
    assert narrow.proceeds >= wide.proceeds


@given(contracts, multipliers, st.tuples(premiums, premiums).map(sorted), indexes, rates)
def test_a_dearer_option_costs_and_pays_no_less(contracts, multiplier, premiums, index, rate):
    same = {"contracts": contracts, "multiplier": multiplier, "index": index, "spread_rate": rate}
    low, high = (open_cost(**same, ask_premium=premium) for premium in premiums)
    assert (low.cost, low.fair) <= (high.cost, high.fair)
    low, high = (close_proceeds(**same, bid_premium=premium) for premium in premiums)
    assert (low.proceeds, low.fair) <= (high.proceeds, high.fair)


@given(kinds, indexes, indexes, contracts, multipliers)
def test_a_payoff_is_the_intrinsic_value_rounded_down(kind, strike, index, contracts, multiplier):
    payoff = payoff_coin(
        kind=kind, strike=strike, settlement_index=index, contracts=contracts, multiplier=multiplier
    )
    gain = (index - strike) * (1 if kind == "C" else -1)
    exact = max(Fraction(0), Fraction(gain) / Fraction(index)) * contracts * Fraction(multiplier)
    assert 0 <= exact - Fraction(payoff) < COIN


@given(kinds, indexes, indexes, contracts, multipliers)
def test_an_exercise_pays_the_payoff_rounded_down_to_usdt(kind, strike, index, contracts, multiplier):
    terms = {"kind": kind, "strike": strike, "settlement_index": index}
    price = exercise_proceeds(**terms, contracts=contracts, multiplier=multiplier)
    assert price.coin == payoff_coin(**terms, contracts=contracts, multiplier=multiplier)
    assert 0 <= Fraction(price.coin) * Fraction(index) - Fraction(price.proceeds) < USDT
    assert 0 <= price.spread <= USDT_UNIT
    assert price.fair == (price.proceeds + price.spread).quantize(USDT_UNIT, ROUND_HALF_EVEN)
