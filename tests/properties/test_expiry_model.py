"""What an expiry's options share is worked out once, and each is quoted as if it were priced by itself."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counter.expiring.index_average import WINDOW, AverageSoFar
from counter.market.index_level import Span
from counter.market.model_quotes import ExpiryModel, averaging_at
from counter.market.volatility import DEFAULT_SURFACE
from counter.pricing import average_option, black76
from counter.pricing.greeks import greeks

EXPIRES_AT = datetime(2026, 12, 4, 8, tzinfo=UTC)
UNIT = 10**6

lefts = st.one_of(
    st.integers(1, WINDOW // timedelta(milliseconds=1)).map(lambda ms: timedelta(milliseconds=ms)),
    st.integers(1801, 400 * 86_400).map(lambda seconds: timedelta(seconds=seconds)),
)
indexes = st.integers(60_000 * 10**8, 130_000 * 10**8).map(lambda units: Decimal(units).scaleb(-8))
strikes = st.integers(30_000, 200_000).map(Decimal)
moves = st.decimals(0, "0.03", places=6)
records = st.builds(
    lambda gone, mean: AverageSoFar(Fraction(gone, 1800) * mean, 1 - Fraction(gone, 1800)),
    st.integers(0, 1800),
    st.integers(60_000, 130_000),
)


def alone(kind, strike, price, now, so_far):
    """Mark, volatility and forward of one option at one index, by the definitions."""
    years = (EXPIRES_AT - now) / timedelta(days=365)
    smile = DEFAULT_SURFACE.smiles["BTC"]
    forward = float(price) * math.exp(smile.carry_rate * years)
    averaging = averaging_at(expires_at=EXPIRES_AT, now=now, so_far=so_far)
    open_strike = averaging.strike(float(strike))
    if open_strike <= 0 or math.isinf(open_strike):
        open_strike = float(strike)
    short, long, relaxation = smile.short_iv**2, smile.long_iv**2, smile.relaxation_years
    atm = long * years + (short - long) * (relaxation * -math.expm1(-years / relaxation))
    scaled = smile.curvature / math.sqrt(atm * (1 + atm)) * math.log(open_strike / forward)
    bracket = 1 + smile.skew * scaled + math.sqrt((scaled + smile.skew) ** 2 + 1 - smile.skew * smile.skew)
    iv = math.sqrt(atm / 2 * bracket / years)
    terms = {"kind": kind, "forward": forward, "strike": float(strike), "iv": iv, "averaging": averaging}
    return average_option.premium(**terms), iv, forward


def nearest(number, places):
    return Decimal(f"{round(Fraction(repr(number)) * 10**places)}E-{places}")


def sides(mark):
    half_width = max(mark * 0.01, 0.0001)
    bid, ask = Fraction(repr(max(mark - half_width, 0.0))), Fraction(repr(mark + half_width))
    return Fraction(math.floor(bid * UNIT), UNIT), Fraction(math.ceil(ask * UNIT), UNIT)


@settings(deadline=None, max_examples=300)
@given(lefts, indexes, strikes, moves, moves, records)
def test_call_and_put_of_an_expiry_are_quoted_as_each_by_itself(left, index, strike, down, up, so_far):
    now = EXPIRES_AT - left
    span = Span(round(index * (1 - down), 8), round(index * (1 + up), 8))
    model = ExpiryModel(
        underlying="BTC",
        expires_at=EXPIRES_AT,
        surface=DEFAULT_SURFACE,
        now=now,
        index=index,
        span=span,
        so_far=so_far,
    )
    both = model.quotes(strike, with_greeks=True)
    is_wide = span.high - span.low > span.low * Decimal("0.0001")
    counting = {index, *span} if is_wide else {index}
    for kind, made in (("C", both.call), ("P", both.put)):
        quoted = [(price, *sides(alone(kind, strike, price, now, so_far)[0])) for price in counting]
        bid = min(bid * Fraction(price) for price, bid, _ in quoted) / Fraction(index)
        ask = max(ask * Fraction(price) for price, _, ask in quoted) / Fraction(index)
        mark, iv, forward = alone(kind, strike, index, now, so_far)
        assert made.bid == (Decimal(math.floor(bid * UNIT)).scaleb(-6) or None)
        assert made.ask == Decimal(math.ceil(ask * UNIT)).scaleb(-6)
        assert made.mark == Decimal(math.floor(Fraction(repr(mark)) * UNIT)).scaleb(-6)
        assert made.implied_volatility == min(nearest(iv, 6), Decimal("99.999999"))
        assert made.forward == nearest(forward, 8)
        found = greeks(
            kind=kind,
            forward=float(made.forward),
            strike=float(strike),
            iv=float(made.implied_volatility),
            averaging=averaging_at(expires_at=EXPIRES_AT, now=now, so_far=so_far),
        )
        assert made.delta == nearest(found.delta, 6)
        assert made.vega == nearest(found.vega * (float(index) / float(made.forward)), 6)


def test_greeks_are_worked_out_only_where_they_are_asked_for():
    now = EXPIRES_AT - timedelta(days=7)
    model = ExpiryModel(
        underlying="BTC", expires_at=EXPIRES_AT, surface=DEFAULT_SURFACE, now=now, index=Decimal(90_000)
    )
    without, with_greeks = (model.quotes(Decimal(90_000), with_greeks=wanted) for wanted in (False, True))
    for bare, full in zip(without, with_greeks, strict=True):
        assert (bare.delta, bare.vega) == (None, None)
        assert full._replace(delta=None, vega=None) == bare


def test_a_quote_is_of_a_call_or_of_a_put():
    with pytest.raises(black76.ModelInputInvalid):
        black76.ByKind(1, 2).of("X")
