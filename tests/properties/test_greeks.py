"""Greeks are the slopes of the price: each is held to a finite difference of the premium that customers are quoted."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from counter.expiring.index_average import WINDOW
from counter.pricing import average_option
from counter.pricing.average_option import Averaging, variance_years
from counter.pricing.black76 import YEAR, ModelInputInvalid
from counter.pricing.greeks import Greeks, greeks

HALF_HOUR = WINDOW / YEAR
DAY = 1 / 365
SOON, LATE = 1e-6, 2.0  # years before the window begins

kinds = st.sampled_from("CP")
forwards = st.floats(100, 1e6)
ivs = st.floats(0.05, 3)
# How far the strike is from the forward, in standard deviations of what is still open: any of them can be in doubt.
deviations_away = st.floats(-4, 4)


@st.composite
def before_the_window(draw):
    """An option before its average begins: kind, forward, strike, iv, averaging."""
    begins_in = math.exp(draw(st.floats(math.log(SOON), math.log(LATE))))
    averaging = Averaging(begins_in, begins_in + HALF_HOUR)
    return _option(draw, averaging)


@st.composite
def within_the_window(draw):
    """An option of whose average a part is known: the mean so far a little above or below the forward."""
    share = draw(st.floats(0.01, 1))
    return _option(
        draw, Averaging(0.0, HALF_HOUR * share, known=0.0, open_share=share), draw(st.floats(0.99, 1.01))
    )


def _option(draw, averaging, mean=1.0):
    kind, forward, iv = draw(kinds), draw(forwards), draw(ivs)
    share = averaging.open_share
    averaging = Averaging(averaging.begins_in, averaging.ends_in, (1 - share) * mean * forward, share)
    deviation = _deviation(iv, averaging)
    strike = averaging.known + share * forward * math.exp(deviation * draw(deviations_away))
    return {"kind": kind, "forward": forward, "strike": strike, "iv": iv, "averaging": averaging}


def _deviation(iv, averaging):
    return iv * math.sqrt(variance_years(begins_in=averaging.begins_in, ends_in=averaging.ends_in, iv=iv))


def value(option, **changes):
    """USD worth of one coin's option, from the premium that is quoted."""
    changed = option | changes
    return average_option.premium(**changed) * changed["forward"]


def later(averaging, years):
    """The average after `years` in which the index stayed at the forward."""

    def at(forward):
        if averaging.begins_in > 0:
            return Averaging(averaging.begins_in - years, averaging.ends_in - years)
        fixed = averaging.open_share * years / averaging.ends_in
        return Averaging(
            0.0, averaging.ends_in - years, averaging.known + fixed * forward, averaging.open_share - fixed
        )

    return at


options = st.one_of(before_the_window(), within_the_window())


@given(options)
def test_delta_is_the_slope_by_the_forward(option):
    forward, averaging = option["forward"], option["averaging"]
    step = forward * _deviation(option["iv"], averaging) * 1e-3
    slope = (value(option, forward=forward + step) - value(option, forward=forward - step)) / (2 * step)
    assert greeks(**option).delta == pytest.approx(slope, abs=1e-5)


@given(options)
def test_gamma_is_the_slope_of_delta(option):
    forward, deviation = option["forward"], _deviation(option["iv"], option["averaging"])
    step = forward * deviation * 1e-3
    up, down = (greeks(**option | {"forward": forward + move}).delta for move in (step, -step))
    # Per move of one standard deviation: gamma itself runs from a millionth to hundreds.
    scale = forward * deviation
    assert greeks(**option).gamma * scale == pytest.approx((up - down) / (2 * step) * scale, abs=1e-4)


@given(options)
def test_vega_is_the_slope_by_a_point_of_volatility(option):
    iv = option["iv"]
    step = iv * 1e-3
    slope = (value(option, iv=iv + step) - value(option, iv=iv - step)) / (2 * step)
    scale = option["forward"] * _deviation(iv, option["averaging"]) / iv
    assert greeks(**option).vega * 100 == pytest.approx(slope, abs=1e-4 * scale)


@given(options)
def test_the_chance_is_the_slope_by_the_strike(option):
    """Of the value, with its sign turned for a call: what an option that pays loses for one USD more of the strike."""
    strike = option["strike"]
    step = (
        option["averaging"].open_share
        * option["forward"]
        * _deviation(option["iv"], option["averaging"])
        * 1e-3
    )
    slope = (value(option, strike=strike + step) - value(option, strike=strike - step)) / (2 * step)
    assert greeks(**option).chance == pytest.approx(-slope if option["kind"] == "C" else slope, abs=1e-5)


@given(options)
def test_theta_is_the_slope_by_a_day(option):
    averaging = option["averaging"]
    years = (averaging.begins_in or averaging.ends_in) * 1e-4
    after = later(averaging, years)(option["forward"])
    slope = (value(option, averaging=after) - value(option)) / years
    scale = option["forward"] * _deviation(option["iv"], averaging) / averaging.ends_in
    assume(scale > 0)
    assert greeks(**option).theta * 365 == pytest.approx(slope, abs=1e-3 * scale)


@given(options)
def test_a_call_and_a_put_differ_by_the_forward_alone(option):
    """Parity: a call less a put is what is known and the share that is open times the forward, less the strike."""
    call, put = (greeks(**option | {"kind": kind}) for kind in "CP")
    averaging = option["averaging"]
    worth = averaging.known + averaging.open_share * option["forward"] - option["strike"]
    assert call.value - put.value == pytest.approx(worth, abs=1e-9 * option["forward"])
    assert call.delta - put.delta == pytest.approx(averaging.open_share)
    assert call.chance + put.chance == pytest.approx(1)
    assert (call.gamma, call.vega, call.theta) == (put.gamma, put.vega, put.theta)


@given(options)
def test_value_is_the_quoted_premium_and_only_decays(option):
    found = greeks(**option)
    assert found.value == pytest.approx(value(option), abs=1e-12 * option["forward"])
    assert found.gamma >= 0
    assert found.vega >= 0
    assert found.theta <= 1e-9 * option["forward"]


@given(kinds, forwards, ivs, deviations_away)
def test_nothing_but_theta_jumps_when_the_window_begins(kind, forward, iv, away):
    before = Averaging(1e-15, HALF_HOUR + 1e-15)
    strike = forward * math.exp(_deviation(iv, before) * away)
    one, other = (
        greeks(kind=kind, forward=forward, strike=strike, iv=iv, averaging=averaging)
        for averaging in (before, Averaging(0.0, HALF_HOUR))
    )
    for name in ("value", "delta", "gamma", "vega"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "strike", "found"),
    [
        ("C", 80_000, Greeks(value=5_500, delta=0.05, gamma=0, vega=0, theta=0, chance=1)),
        ("P", 80_000, Greeks(value=0, delta=0, gamma=0, vega=0, theta=0, chance=0)),
    ],
)
def test_what_is_certain_has_the_delta_of_what_is_open(kind, strike, found):
    """95 % of the average is known at 81,000 of the strike's 80,000: the rest only moves the payoff."""
    averaging = Averaging(0.0, HALF_HOUR * 0.05, known=81_000.0, open_share=0.05)
    got = greeks(kind=kind, forward=90_000, strike=strike, iv=0.5, averaging=averaging)
    assert got.value == pytest.approx(found.value)
    assert (got.delta, got.gamma, got.vega, got.theta) == (found.delta, found.gamma, found.vega, found.theta)


@pytest.mark.parametrize(("kind", "value"), [("C", 1_000), ("P", 0)])
def test_a_decided_average_moves_no_more(kind, value):
    averaging = Averaging(0.0, 1e-9, known=91_000.0, open_share=0.0)
    got = greeks(kind=kind, forward=88_000, strike=90_000, iv=0.5, averaging=averaging)
    assert got == Greeks(value=value, delta=0, gamma=0, vega=0, theta=0, chance=1 if value else 0)


def test_a_known_option_has_its_known_greeks():
    """At the money, a month, 60 %: by hand, n(d1) = 0.39746, N(d1) = 0.53427."""
    averaging = Averaging(30 * DAY - HALF_HOUR, 30 * DAY)
    got = greeks(kind="C", forward=100_000, strike=100_000, iv=0.6, averaging=averaging)
    assert got.value == pytest.approx(6854, abs=5)
    assert got.delta == pytest.approx(0.5343, abs=2e-4)
    assert got.gamma == pytest.approx(2.311e-5, rel=1e-3)
    assert got.vega == pytest.approx(113.9, abs=0.2)
    assert got.theta == pytest.approx(-113.98, abs=0.3)


@pytest.mark.parametrize("field", ["forward", "iv"])
@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf])
def test_what_the_model_cannot_price_is_refused(field, bad):
    inputs = {"forward": 90_000.0, "strike": 90_000.0, "iv": 0.5, field: bad}
    with pytest.raises(ModelInputInvalid):
        greeks(kind="C", **inputs, averaging=Averaging(0.1, 0.1 + HALF_HOUR))
