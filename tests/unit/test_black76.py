import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter.pricing.black76 import ModelInputInvalid, premium, to_premium, years_between

positive = st.floats(10, 1e6)
model = st.fixed_dictionaries(
    {
        "forward": positive,
        "strike": positive,
        "years": st.floats(1e-5, 5),
        "iv": st.floats(0.01, 3),
    }
)


def integrated(*, kind, forward, strike, years, iv, steps=20_000):
    """The same premium by its definition: the expected payoff over a lognormal forward, divided by the forward."""
    deviation = iv * math.sqrt(years)
    width = 20 / steps
    total = 0.0
    for step in range(steps):
        z = -10 + (step + 0.5) * width
        final = forward * math.exp(deviation * z - deviation**2 / 2)
        payoff = max(final - strike, 0) if kind == "C" else max(strike - final, 0)
        total += payoff * math.exp(-z * z / 2) * width
    return total / math.sqrt(2 * math.pi) / forward


@pytest.mark.parametrize("kind", ["C", "P"])
@pytest.mark.parametrize(
    ("forward", "strike", "years", "iv"),
    [(90000, 90000, 0.1, 0.5), (90000, 120000, 0.5, 0.6), (3000, 2000, 1, 0.8), (3000, 3050, 0.003, 0.9)],
)
def test_a_premium_is_the_expected_payoff_in_coin(kind, forward, strike, years, iv):
    inputs = {"kind": kind, "forward": forward, "strike": strike, "years": years, "iv": iv}
    assert premium(**inputs) == pytest.approx(integrated(**inputs), abs=1e-7)


@given(model)
def test_a_call_less_a_put_is_the_forward_less_the_strike(inputs):
    parity = premium(kind="C", **inputs) - premium(kind="P", **inputs)
    relative_strike = inputs["strike"] / inputs["forward"]
    assert parity == pytest.approx(1 - relative_strike, abs=1e-9 * max(1, relative_strike))


@given(model)
def test_a_premium_lies_between_intrinsic_value_and_its_bound(inputs):
    relative_strike = inputs["strike"] / inputs["forward"]
    slack = 1e-12 * max(1, relative_strike)
    assert max(1 - relative_strike, 0) - slack <= premium(kind="C", **inputs) <= 1
    assert max(relative_strike - 1, 0) - slack <= premium(kind="P", **inputs) <= relative_strike + slack


@given(model, st.floats(1.0001, 3), st.sampled_from(["C", "P"]), st.sampled_from(["iv", "years"]))
def test_more_volatility_or_time_is_never_worth_less(inputs, factor, kind, grown):
    more = {**inputs, grown: inputs[grown] * factor}
    slack = 1e-12 * max(1, inputs["strike"] / inputs["forward"])
    assert premium(kind=kind, **more) >= premium(kind=kind, **inputs) - slack


@pytest.mark.parametrize("field", ["forward", "strike", "years", "iv"])
@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf])
def test_what_the_model_cannot_price_is_refused_by_name(field, bad):
    inputs = {"forward": 90000.0, "strike": 90000.0, "years": 0.1, "iv": 0.5, field: bad}
    with pytest.raises(ModelInputInvalid, match=field):
        premium(kind="C", **inputs)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ModelInputInvalid):
        premium(kind="call", forward=1, strike=1, years=1, iv=1)


def test_a_bid_rounds_down_and_an_ask_up():
    assert to_premium(0.0123456789, side="bid") == Decimal("0.012345")
    assert to_premium(0.0123456789, side="ask") == Decimal("0.012346")


def test_a_float_that_prints_on_the_scale_is_not_moved():
    for units in range(1, 20_000, 7):
        quoted = Decimal(units).scaleb(-6)
        assert to_premium(float(quoted), side="bid") == to_premium(float(quoted), side="ask") == quoted


def test_a_worthless_option_has_no_bid_and_still_an_ask():
    assert to_premium(0.0, side="bid") == 0
    assert to_premium(0.0, side="ask") == to_premium(1e-300, side="ask") == Decimal("0.000001")


@given(st.floats(0, 100))
def test_bid_and_ask_enclose_the_model_within_a_unit(x):
    bid, ask = to_premium(x, side="bid"), to_premium(x, side="ask")
    exact = Fraction(Decimal(repr(x)))
    unit = Fraction(1, 10**6)
    assert bid.as_tuple().exponent == ask.as_tuple().exponent == -6
    assert 0 <= exact - Fraction(bid) < unit
    assert 0 <= Fraction(ask) - exact <= unit


@pytest.mark.parametrize("x", [-1e-9, math.nan, math.inf, 1e300])
def test_what_is_no_premium_does_not_cross_the_border(x):
    with pytest.raises(ModelInputInvalid):
        to_premium(x, side="ask")


def test_an_unknown_side_is_refused():
    with pytest.raises(ModelInputInvalid):
        to_premium(0.1, side="mid")


def test_a_year_has_365_days():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert years_between(start, start + timedelta(days=73)) == pytest.approx(0.2)
    assert years_between(start, start - timedelta(days=365)) == -1
