"""What is quoted is what will be settled: options on the average of the last half hour, part of it known already."""

import math
import random
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counter.expiring.index_average import (
    WINDOW,
    AverageSoFar,
    MinuteSoFar,
    Sample,
    average_of,
    average_so_far,
    can_still_settle,
)
from counter.market.model_quotes import model_quote
from counter.market.volatility import DEFAULT_SURFACE
from counter.pricing import average_option, black76
from counter.pricing.average_option import Averaging, variance_years
from counter.pricing.black76 import ModelInputInvalid

EXPIRES_AT = datetime(2026, 12, 4, 8, tzinfo=UTC)
BEGINS_AT = EXPIRES_AT - WINDOW
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
UNIT = Decimal("0.00000001")
HALF_HOUR = WINDOW / black76.YEAR

ivs = st.floats(0.05, 3)
spots = st.floats(100, 1e6)


@dataclass(frozen=True)
class FlatSurface:
    """One volatility for all, and no carry."""

    volatility: float
    forward_ratio: float = 1.0

    def section(self, *, underlying: str, years: float) -> "FlatSurface":
        return self

    def iv(self, log_moneyness: float) -> float:
        return self.volatility


def recorded(price_at, *, until, every=SECOND, without=()):
    """Samples from the window's beginning to `until`, none in the minutes `without`."""
    moments = (BEGINS_AT + every * number for number in range((until - BEGINS_AT) // every + 1))
    return [
        Sample(at, Decimal(round(price_at(at) * 100)).scaleb(-2))
        for at in moments
        if at < EXPIRES_AT and (at - BEGINS_AT) // MINUTE not in without
    ]


def minutes_after_each(samples):
    """The record as the database tells it after each sample: by minute."""
    found = {}
    before = BEGINS_AT
    for at, price in samples:
        minute = (at - BEGINS_AT) // MINUTE
        row = found.get(minute, MinuteSoFar(minute, 0, Decimal(0), timedelta(0)))
        gap = max(row.largest_gap, at - before)
        found[minute] = MinuteSoFar(minute, row.samples + 1, row.total + price, gap)
        before = at
        yield found.values()


def minutes_of(samples):
    """The record as the database tells it: by minute."""
    after_the_last = deque(minutes_after_each(samples), maxlen=1)
    return list(after_the_last[0]) if after_the_last else []


def so_far_of(samples, *, now, every=SECOND):
    return average_so_far(minutes_of(samples), expires_at=EXPIRES_AT, now=now, every=every)


# --- the part that is known ------------------------------------------------------------------------------------------


@given(
    st.integers(0, WINDOW // SECOND - 1),
    st.sets(st.integers(0, 28), max_size=3),
    st.integers(0, 2**32).map(random.Random),
)
def test_what_is_known_and_what_is_to_come_make_the_average_that_settles(second, without, rand):
    now = BEGINS_AT + second * SECOND
    prices = {}

    def price(at):
        return prices.setdefault(at, rand.uniform(80_000, 100_000))

    present = (now - BEGINS_AT) // MINUTE
    gone = {minute for minute in without if minute < present}
    whole = recorded(price, until=EXPIRES_AT, without=gone)
    known = [sample for sample in whole if sample.at <= now]
    so_far = so_far_of(known, now=now)

    # Were the index to stand still from now on, the average would be this, to the last digit that is kept.
    standing = [sample if sample.at <= now else Sample(sample.at, Decimal(95_000)) for sample in whole]
    settled = average_of(standing, expires_at=EXPIRES_AT).price
    assert abs(so_far.known + so_far.open_share * 95_000 - Fraction(settled)) <= Fraction(UNIT)
    assert 0 <= so_far.open_share <= 1


def test_with_every_second_less_is_left_to_chance():
    samples = recorded(lambda at: 90_000, until=EXPIRES_AT)
    shares = [
        average_so_far(list(minutes), expires_at=EXPIRES_AT, now=sample.at, every=SECOND).open_share
        for sample, minutes in zip(samples, minutes_after_each(samples), strict=True)
    ]
    assert all(later < earlier for earlier, later in pairwise(shares))
    assert (shares[0], shares[-1]) == (Fraction(1799, 1800), 0)


def test_a_record_is_enough_until_a_gap_or_a_fourth_minute_without_a_sample():
    def enough(samples, now):
        return can_still_settle(
            minutes_of(samples), expires_at=EXPIRES_AT, now=now, least_minutes=27, most_gap=120 * SECOND
        )

    now = BEGINS_AT + 20 * MINUTE + 30 * SECOND
    assert enough(recorded(lambda at: 90_000, until=now), now)
    assert enough(recorded(lambda at: 90_000, until=now, without={3, 8, 12}), now)
    assert not enough(recorded(lambda at: 90_000, until=now, without={3, 8, 12, 15}), now)
    assert not enough(recorded(lambda at: 90_000, until=now, without={3, 4}), now)
    assert not enough(recorded(lambda at: 90_000, until=now, without=set(range(18))), now)


def test_a_minute_that_nothing_will_be_recorded_of_any_more_has_no_weight():
    now = BEGINS_AT + 59.5 * SECOND
    assert average_so_far([], expires_at=EXPIRES_AT, now=now, every=SECOND) == AverageSoFar(
        Fraction(0), Fraction(1)
    )


# --- the variance of an average --------------------------------------------------------------------------------------


@given(ivs, st.floats(0, 1), st.floats(1e-9, 0.5))
def test_the_variance_of_an_average_is_the_closed_form_where_that_has_digits(iv, begins_in, length):
    m = iv * iv * length
    years = variance_years(begins_in=begins_in, ends_in=begins_in + length, iv=iv)
    assert begins_in < years < begins_in + length
    if m > 0.01:
        second_moment = 2 * (math.exp(m) - 1 - m) / m**2
        assert years == pytest.approx(begins_in + math.log(second_moment) / iv**2, rel=1e-9)
    else:
        assert years == pytest.approx(begins_in + length / 3, rel=0.01)


@pytest.mark.parametrize(("begins_in", "ends_in", "iv"), [(0, 0, 1), (2, 1, 1), (0, 1, 0), (0, math.nan, 1)])
def test_no_average_is_refused_by_name(begins_in, ends_in, iv):
    with pytest.raises(ModelInputInvalid):
        variance_years(begins_in=begins_in, ends_in=ends_in, iv=iv)


# --- the premium -----------------------------------------------------------------------------------------------------


@given(
    spots, st.floats(0.8, 1.25), ivs, st.floats(1e-8, HALF_HOUR), st.floats(0, 0.999), st.floats(0.8, 1.25)
)
def test_a_call_less_a_put_is_the_expected_average_less_the_strike(spot, strike, iv, left, known, mean):
    averaging = Averaging(0.0, left, known=known * mean * spot, open_share=1 - known)
    call, put = (
        average_option.premium(kind=kind, forward=spot, strike=strike * spot, iv=iv, averaging=averaging)
        for kind in ("C", "P")
    )
    assert min(call, put) >= 0
    assert call - put == pytest.approx(known * mean + 1 - known - strike, abs=1e-9)


@given(spots, st.floats(0.8, 1.25), ivs, st.sampled_from("CP"))
def test_nothing_jumps_when_the_window_begins(spot, strike, iv, kind):
    before = Averaging(begins_in=0.0, ends_in=HALF_HOUR)
    after = Averaging(0.0, HALF_HOUR, known=spot / 1800, open_share=1 - 1 / 1800)
    values = [
        average_option.premium(kind=kind, forward=spot, strike=strike * spot, iv=iv, averaging=one)
        for one in (before, after)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-5 * iv + 1e-9)


@pytest.mark.parametrize(
    ("kind", "strike", "worth"), [("C", 90_300, 616), ("P", 91_500, 584), ("P", 90_300, 0)]
)
def test_what_is_certain_is_worth_what_it_pays_and_nothing_more(kind, strike, worth):
    averaging = Averaging(0.0, 1e-9, known=90_916.0, open_share=0.0)
    premium = average_option.premium(kind=kind, forward=90_000, strike=strike, iv=0.5, averaging=averaging)
    assert premium * 90_000 == pytest.approx(worth)


def quote(kind, strike, *, spot, surface, now, so_far):
    return model_quote(
        underlying="BTC",
        kind=kind,
        strike=Decimal(strike),
        expires_at=EXPIRES_AT,
        index=Decimal(spot),
        surface=surface,
        now=now,
        so_far=so_far,
    )


def test_a_window_that_has_begun_is_not_priced_without_its_record():
    with pytest.raises(ModelInputInvalid):
        quote("C", 90_000, spot=90_000, surface=DEFAULT_SURFACE, now=BEGINS_AT, so_far=None)


@settings(deadline=None)
@given(
    st.integers(0, WINDOW // timedelta(milliseconds=1) - 1),
    st.integers(60_000, 120_000),
    st.integers(60_000, 120_000),
    st.integers(60_000, 120_000),
    st.sampled_from("CP"),
)
def test_a_quote_is_never_without_width_and_holds_in_its_columns(millisecond, spot, mean, strike, kind):
    now = BEGINS_AT + millisecond * timedelta(milliseconds=1)
    every = SECOND * (now - BEGINS_AT).total_seconds() / 30 or SECOND
    samples = recorded(lambda at: mean, until=now, every=every)
    so_far = so_far_of(samples, now=now)
    made = quote(kind, strike, spot=spot, surface=DEFAULT_SURFACE, now=now, so_far=so_far)
    assert made.ask >= made.mark + Decimal("0.0001")
    assert made.bid is None or 0 < made.bid <= made.mark - Decimal("0.000099")
    assert 0 < made.implied_volatility < 100


# --- Monte Carlo of the settlement rule -----------------------------------------------------------------------------

EVERY = 5 * SECOND
STEPS = WINDOW // EVERY
PATHS = 1500


def one_step(rand, volatility, years):
    deviation = volatility * math.sqrt(years)
    return math.exp(rand * deviation - deviation * deviation / 2)


def settled(prices):
    """The settlement rule in float: the mean of the means of the minutes."""
    each = STEPS // 30
    return math.fsum(math.fsum(prices[n : n + each]) / each for n in range(0, STEPS, each)) / 30


@pytest.mark.parametrize("seed", range(16))
def test_the_quoted_fair_value_is_the_expected_payoff_by_the_settlement_rule(seed):
    rand = random.Random(seed)
    spot, volatility = rand.uniform(60_000, 120_000), rand.uniform(0.2, 2.0)
    if seed < 4:  # before the window: from hours to a minute ahead of it
        begun, ahead = 0, MINUTE * (1, 10, 60, 600)[seed]
        now, samples = BEGINS_AT - ahead, []
    else:
        begun, ahead = rand.randrange(1, STEPS - 1), timedelta(0)
        path = [spot * rand.uniform(0.985, 1.015)]
        while len(path) < begun:
            path.append(path[-1] * one_step(rand.gauss(0, 1), volatility, EVERY / black76.YEAR))
        path[-1] = spot
        now = BEGINS_AT + (begun - 1) * EVERY
        samples = [
            Sample(BEGINS_AT + n * EVERY, Decimal(round(p * 100)).scaleb(-2)) for n, p in enumerate(path)
        ]
    so_far = so_far_of(samples, now=now, every=EVERY) if begun else None

    averages = []
    known = [float(sample.price) for sample in samples]
    years = [(ahead if n == 0 and not begun else EVERY) / black76.YEAR for n in range(STEPS - begun)]
    deviations = [volatility * math.sqrt(each) for each in years]
    drifts = [-deviation * deviation / 2 for deviation in deviations]
    for _ in range(PATHS):
        draws = [rand.gauss(0, 1) for _ in range(STEPS - begun)]
        for sign in (1, -1):
            price, prices = spot, list(known)
            for draw, deviation, drift in zip(draws, deviations, drifts, strict=True):
                price *= math.exp(sign * draw * deviation + drift)
                prices.append(price)
            averages.append(settled(prices))
    last = [Sample(BEGINS_AT + n * EVERY, Decimal(round(p * 10**8)).scaleb(-8)) for n, p in enumerate(prices)]
    assert averages[-1] == pytest.approx(float(average_of(last, expires_at=EXPIRES_AT).price), abs=1e-6)

    middle = math.fsum(averages) / len(averages)
    for strike in (
        round(middle * rand.uniform(0.997, 1)),
        round(middle),
        round(middle * rand.uniform(1, 1.003)),
    ):
        for kind in ("C", "P"):
            sign = 1 if kind == "C" else -1
            payoffs = [max(0.0, sign * (average - strike)) for average in averages]
            # Pairs of mirrored paths are one draw.
            pairs = [(payoffs[n] + payoffs[n + 1]) / 2 for n in range(0, len(payoffs), 2)]
            mean = math.fsum(pairs) / len(pairs)
            error = math.sqrt(math.fsum((pair - mean) ** 2 for pair in pairs)) / len(pairs)
            made = quote(
                kind, strike, spot=round(spot, 2), surface=FlatSurface(volatility), now=now, so_far=so_far
            )
            fair = float(made.mark) * spot
            # Rounding the premium down costs up to a unit; a reading every 5 s varies by half a percent more.
            assert fair == pytest.approx(mean, abs=4 * error + 1e-6 * spot + 0.005 * mean), (kind, strike)
            assert float(made.ask) * spot > mean - 4 * error - 0.005 * mean, "sold below its worth"
            assert made.bid is None or float(made.bid) * spot < mean + 4 * error + 0.005 * mean


@given(
    st.integers(0, WINDOW // SECOND - 1),
    st.floats(0.9, 1.1),
    st.floats(0.9, 1.1),
    st.sampled_from("CP"),
    st.floats(-0.01, 0.01),
)
def test_no_purchase_is_worth_more_than_it_costs_and_what_chance_can_still_give(
    second, mean, strike, kind, move
):
    spot, now = 90_000, BEGINS_AT + second * SECOND
    samples = recorded(lambda at: mean * spot, until=now)
    so_far = so_far_of(samples, now=now)
    made = quote(kind, round(strike * spot), spot=spot, surface=DEFAULT_SURFACE, now=now, so_far=so_far)
    # The mean of what is still to come moves the average by its share alone.
    average = float(so_far.known) + float(so_far.open_share) * spot * (1 + move)
    payoff = max(0.0, (average - round(strike * spot)) * (1 if kind == "C" else -1))
    chance = float(so_far.open_share) * spot * abs(move)
    assert payoff <= float(made.ask) * spot * 1.000_01 + chance
    if made.bid is not None:
        assert float(made.bid) * spot <= payoff + chance + time_value(so_far, spot, second) + 1


def time_value(so_far, spot, second):
    """At most what an option on the rest could be worth beyond its intrinsic value, at four times the volatility."""
    years = (WINDOW // SECOND - second) * SECOND / black76.YEAR
    return float(so_far.open_share) * spot * 0.4 * 2.5 * math.sqrt(years)
