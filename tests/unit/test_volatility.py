import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter.market.chain import ChainRow, shifted
from counter.market.volatility import (
    DEFAULT_SURFACE,
    ParametricSurface,
    Smile,
    SurfaceInvalid,
    UnderlyingUnknown,
    chain_surface,
)
from counter.pricing.black76 import premium

RECORDED = datetime(2026, 11, 6, 8, tzinfo=UTC)
smiles = st.builds(
    Smile,
    short_iv=st.floats(0.1, 2),
    long_iv=st.floats(0.1, 2),
    relaxation_years=st.floats(0.02, 2),
    skew=st.floats(-0.9, 0.9),
    curvature=st.floats(0.05, 1.05),
)
underlyings = st.sampled_from(["BTC", "ETH"])
tenors = st.floats(1 / 8760, 2)
log_moneynesses = st.floats(-1.5, 1.5)


def row(*, weeks, strike, iv, kind="C", futures="90900", underlying="BTC"):
    return ChainRow(
        recorded_at=RECORDED,
        underlying=underlying,
        expiry_at=RECORDED + timedelta(weeks=weeks),
        strike=Decimal(strike),
        kind=kind,
        mark=Decimal("0.01"),
        bid=None,
        ask=None,
        iv=Decimal(iv),
        futures=Decimal(futures),
        index=Decimal(90000),
    )


CHAIN = [
    row(weeks=1, strike=80000, iv="0.60", kind="P"),
    row(weeks=1, strike=80000, iv="0.61", kind="C"),
    row(weeks=1, strike=90000, iv="0.50", kind="P"),
    row(weeks=1, strike=100000, iv="0.55", kind="C"),
    row(weeks=3, strike=90000, iv="0.45", kind="P", futures="91800"),
    row(weeks=3, strike=110000, iv="0.52", kind="C", futures="91800"),
]


def recorded(years_in_weeks, strike, *, futures=90900, surface=None):
    section = (surface or chain_surface(CHAIN)).section(underlying="BTC", years=years_in_weeks * 7 / 365)
    return section.iv(math.log(strike / futures))


@given(smiles, log_moneynesses, tenors, st.floats(1.0001, 4))
def test_total_variance_grows_with_time_at_every_moneyness(smile, k, years, factor):
    surface = ParametricSurface({"BTC": smile})
    near, far = (surface.section(underlying="BTC", years=t).iv(k) ** 2 * t for t in (years, years * factor))
    assert 0 < near <= far * (1 + 1e-9)


@given(smiles, tenors, st.floats(-1, 1), st.floats(0.005, 0.2), st.floats(0.005, 0.2))
def test_no_butterfly_of_the_parametric_surface_pays(smile, years, k, left, right):
    section = ParametricSurface({"BTC": smile}).section(underlying="BTC", years=years)
    strikes = [math.exp(k - left), math.exp(k), math.exp(k + right)]
    low, middle, high = (
        premium(
            kind="C",
            forward=1,
            strike=strike,
            years=years,
            iv=section.iv(math.log(strike)),
        )
        for strike in strikes
    )
    share = (strikes[2] - strikes[1]) / (strikes[2] - strikes[0])
    assert middle <= share * low + (1 - share) * high + 1e-9
    assert low >= middle >= high >= 0


@given(underlyings, tenors)
def test_the_default_volatility_at_the_money_is_of_this_world(underlying, years):
    section = DEFAULT_SURFACE.section(underlying=underlying, years=years)
    assert 0.3 < section.iv(0) < 0.8
    assert 1 <= section.forward_ratio < 1.1


def test_the_default_smile_rises_to_both_sides_and_more_to_the_downside():
    section = DEFAULT_SURFACE.section(underlying="BTC", years=0.1)
    low, middle, high = map(section.iv, (-0.4, 0, 0.4))
    assert low > high > middle


@pytest.mark.parametrize(
    "changes",
    [
        {"skew": 1.0},
        {"curvature": 1.8},
        {"curvature": 0.0},
        {"short_iv": 0.0},
        {"long_iv": -0.1},
        {"relaxation_years": math.nan},
    ],
)
def test_parameters_that_allow_arbitrage_are_refused(changes):
    good = {"short_iv": 0.4, "long_iv": 0.5, "relaxation_years": 0.3, "skew": -0.2, "curvature": 0.8}
    with pytest.raises(SurfaceInvalid):
        Smile(**{**good, **changes})


def test_a_recorded_point_comes_out_as_recorded_and_the_out_of_the_money_option_decides():
    assert recorded(1, 80000) == pytest.approx(0.60)
    assert recorded(1, 90000) == pytest.approx(0.50)
    assert recorded(1, 100000) == pytest.approx(0.55)
    assert recorded(3, 110000, futures=91800) == pytest.approx(0.52)


def test_between_strikes_total_variance_is_linear_in_log_moneyness():
    middle = math.sqrt(90000 * 100000)
    assert recorded(1, middle) == pytest.approx(math.sqrt((0.50**2 + 0.55**2) / 2))


def test_beyond_the_outer_strikes_volatility_stays():
    assert recorded(1, 1000) == pytest.approx(0.60)
    assert recorded(1, 900000) == pytest.approx(0.55)


def test_between_expiries_total_variance_is_linear_in_time():
    wing = 900000
    variance = (0.55**2 * 1 + 0.52**2 * 3) / 2
    assert recorded(2, wing) == pytest.approx(math.sqrt(variance / 2))


def test_outside_the_expiries_volatility_stays():
    assert recorded(0.1, 900000) == pytest.approx(0.55)
    assert recorded(50, 900000) == pytest.approx(0.52)


def test_the_forward_follows_the_recorded_futures():
    surface = chain_surface(CHAIN)
    sections = [surface.section(underlying="BTC", years=weeks * 7 / 365) for weeks in (1e-9, 1, 2, 3, 6)]
    assert [section.forward_ratio for section in sections] == pytest.approx(
        [1, 1.01, math.sqrt(1.01 * 1.02), 1.02, 1.02**2]
    )


def test_a_chain_moved_in_time_has_the_same_surface():
    moved = shifted(CHAIN, now=RECORDED + timedelta(weeks=30))
    assert moved[0].expiry_at > RECORDED + timedelta(weeks=30)
    assert chain_surface(moved) == chain_surface(CHAIN)


@given(st.floats(1e-6, 1), log_moneynesses)
def test_a_recorded_surface_is_positive_everywhere(years, k):
    assert 0.4 < chain_surface(CHAIN).section(underlying="BTC", years=years).iv(k) < 0.7


@pytest.mark.parametrize("surface", [DEFAULT_SURFACE, chain_surface(CHAIN)])
def test_an_unknown_underlying_and_a_past_expiry_have_no_volatility(surface):
    with pytest.raises(UnderlyingUnknown):
        surface.section(underlying="DOGE", years=1)
    for years in (0, -1, math.nan, math.inf):
        with pytest.raises(SurfaceInvalid):
            surface.section(underlying="BTC", years=years)


def test_an_expired_row_makes_no_surface():
    with pytest.raises(SurfaceInvalid, match="expired"):
        chain_surface([row(weeks=0, strike=90000, iv="0.5")])
