"""The exchange's side of what customers hold: signs, sums, and shocks that agree with the greeks where small."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter.pricing.average_option import Averaging
from counter.pricing.book_risk import PRICE_MOVES, VOLATILITY_MOVES, Held, Risk, risk_of, scenarios, total
from counter.pricing.greeks import greeks

EXPIRES_AT = datetime(2026, 12, 25, 8, tzinfo=UTC)
HALF_HOUR = 1 / 365 / 48


def held_of(kind="C", *, strike=1.0, coin=2.0, years=0.1, iv=0.5, index=90_000.0, carry=1.004):
    forward = index * carry
    return Held(
        symbol="BTC",
        underlying="BTC",
        kind=kind,
        strike=strike * index,
        expires_at=EXPIRES_AT,
        contracts=200,
        coin=coin,
        index=index,
        forward=forward,
        iv=iv,
        averaging=Averaging(years, years + HALF_HOUR),
    )


books = st.lists(
    st.builds(
        held_of,
        st.sampled_from("CP"),
        strike=st.floats(0.5, 2),
        coin=st.floats(0.01, 50),
        years=st.floats(0.003, 1.5),
        iv=st.floats(0.2, 1.5),
        index=st.sampled_from([3_000.0, 90_000.0]),
        carry=st.floats(0.99, 1.05),
    ),
    min_size=1,
    max_size=6,
)


def within_the_window(held, *, known, share):
    average = Averaging(0.0, HALF_HOUR * share, known=known * held.index, open_share=share)
    return replace(held, averaging=average)


def shock(book, price, volatility):
    [[gain]] = scenarios(book, price_moves=[price], volatility_moves=[volatility])
    return gain


def test_the_exchange_is_short_what_customers_hold():
    call, put = risk_of(held_of("C")), risk_of(held_of("P"))
    assert call.value < 0
    assert put.value < 0
    assert call.delta < 0 < put.delta  # sold calls lose when the coin rises, sold puts gain
    for risk in (call, put):
        assert risk.gamma < 0
        assert risk.vega < 0
        assert risk.theta > 0  # what decays is what is owed


def test_figures_are_per_percent_point_and_day_of_the_whole_holding():
    held = held_of(coin=2.0, carry=1.0)
    each = greeks(kind="C", forward=held.forward, strike=held.strike, iv=held.iv, averaging=held.averaging)
    risk = risk_of(held)
    assert risk.value == pytest.approx(-2 * each.value)
    assert risk.delta == pytest.approx(-2 * each.delta * 90_000)
    assert risk.gamma == pytest.approx(-2 * each.gamma * 90_000 * 900)
    assert risk.vega == pytest.approx(-2 * each.vega)
    assert risk.theta == pytest.approx(-2 * each.theta)
    assert risk.times(1 / 90_000).delta == pytest.approx(-2 * each.delta)


@given(books)
def test_a_book_is_the_sum_of_its_series(book):
    whole = total(risk_of(held) for held in book)
    for name in ("value", "delta", "gamma", "vega", "theta"):
        assert getattr(whole, name) == pytest.approx(math.fsum(getattr(risk_of(held), name) for held in book))
    assert total([]) == Risk()
    assert total(risk_of(held) for held in book[::-1]) == whole


@given(books)
def test_a_small_shock_costs_what_the_greeks_say(book):
    whole = total(risk_of(held) for held in book)
    size = math.fsum(abs(held.coin) * held.index for held in book)
    move = 1e-4
    by_greeks = whole.delta * move + 0.5 * (whole.gamma / 0.01) * move * move
    assert shock(book, move, 0.0) == pytest.approx(by_greeks, abs=2e-8 * size)
    # One percentage point of each series' own volatility, a hundredth of it.
    gains = [shock([held], 0.0, 1e-4 / held.iv) for held in book]
    assert math.fsum(gains) == pytest.approx(whole.vega * 0.01, abs=2e-8 * size)


@given(books)
def test_the_grid_has_no_gain_where_nothing_moves_and_pays_in_full_where_all_is_certain(book):
    grid = scenarios(book)
    assert len(grid) == len(VOLATILITY_MOVES)
    assert {len(row) for row in grid} == {len(PRICE_MOVES)}
    size = math.fsum(abs(held.coin) * held.index for held in book)
    unmoved = grid[VOLATILITY_MOVES.index(0.0)][PRICE_MOVES.index(0.0)]
    assert unmoved == pytest.approx(0, abs=1e-9 * size)
    # More volatility never helps who is short options, wherever the price goes.
    for calm, wild in pairwise(grid):
        for less, more in zip(calm, wild, strict=True):
            assert more <= less + 1e-9 * size


@given(st.sampled_from("CP"), st.floats(0.9, 1.1), st.floats(0.9, 1.1), st.floats(0.01, 1))
def test_what_is_known_of_an_average_is_not_shocked(kind, strike, known, share):
    held = within_the_window(held_of(kind, strike=strike, carry=1.0), known=known * (1 - share), share=share)
    forward = held.forward * 1.3
    later = replace(held, forward=forward, index=held.index)
    expected = -held.coin * (
        greeks(kind=kind, forward=forward, strike=held.strike, iv=held.iv, averaging=later.averaging).value
        - greeks(
            kind=kind, forward=held.forward, strike=held.strike, iv=held.iv, averaging=held.averaging
        ).value
    )
    assert shock([held], 0.3, 0.0) == pytest.approx(expected, abs=1e-6)


def test_a_shock_of_the_whole_grid_is_the_intrinsic_value_far_in_the_money():
    """A call at half the index, a week, 20 %: 30 % up costs 30 % of the coin that is owed."""
    held = held_of("C", strike=0.5, coin=1.0, years=7 / 365, iv=0.2, carry=1.0)
    assert shock([held], 0.3, 0.0) == pytest.approx(-27_000, abs=1)
    assert shock([held], -0.3, 0.0) == pytest.approx(27_000, abs=1)
