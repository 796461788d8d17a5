from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter.market.symbols import OptionTerms, SymbolInvalid, format_symbol, parse_symbol

NOVEMBER = datetime(2026, 11, 6, 8, tzinfo=UTC)


def formatted(**changes):
    terms = {"underlying": "BTC", "expiry_at": NOVEMBER, "strike": Decimal(90000), "kind": "C"}
    return format_symbol(**{**terms, **changes})


def test_a_day_has_no_leading_zero():
    assert formatted() == "BTC-6NOV26-90000-C"
    assert formatted(expiry_at=NOVEMBER.replace(day=27), kind="P") == "BTC-27NOV26-90000-P"


def test_a_symbol_says_all_terms():
    assert parse_symbol("ETH-6NOV26-2500-P") == OptionTerms("ETH", NOVEMBER, Decimal(2500), "P")


def test_the_same_moment_in_another_zone_is_the_same_symbol():
    tokyo = NOVEMBER.astimezone(timezone(timedelta(hours=9)))
    assert formatted(expiry_at=tokyo) == "BTC-6NOV26-90000-C"


def test_an_integral_strike_is_written_plainly_in_any_decimal_form():
    assert formatted(strike=Decimal("9E+4")) == formatted(strike=Decimal("90000.00")) == formatted()


@given(
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=10),
    st.dates(datetime(2000, 1, 1).date(), datetime(2099, 12, 31).date()),  # noqa: DTZ001
    st.integers(1, 10**12 - 1),
    st.sampled_from(["C", "P"]),
)
def test_every_symbol_parses_back_to_its_terms(underlying, day, strike, kind):
    terms = {
        "underlying": underlying,
        "expiry_at": datetime(day.year, day.month, day.day, 8, tzinfo=UTC),
        "strike": Decimal(strike),
        "kind": kind,
    }
    assert parse_symbol(format_symbol(**terms)) == OptionTerms(**terms)


@given(st.from_regex(r"[A-Z]{2,4}-[0-9]{1,2}[A-Z]{3}[0-9]{2}-[0-9]{1,6}-[CP]\n?", fullmatch=True))
def test_what_parses_is_the_only_way_to_write_it(text):
    try:
        terms = parse_symbol(text)
    except SymbolInvalid:
        return
    assert text == format_symbol(
        underlying=terms.underlying, expiry_at=terms.expiry_at, strike=terms.strike, kind=terms.kind
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BTC",
        "BTC-06NOV26-90000-C",
        "BTC-6NOV2026-90000-C",
        "BTC-6nov26-90000-C",
        "btc-6NOV26-90000-C",
        "BTC-6NOV26-090000-C",
        "BTC-6NOV26-0-C",
        "BTC-6NOV26-90000.5-C",
        "BTC-6NOV26-90000-X",
        "BTC-6NOX26-90000-C",
        "BTC-31NOV26-90000-C",
        "BTC-29FEB26-90000-C",
        "BTC-6NOV26-90000-C ",
        "BTC-6NOV26-90000-C\n",
        "BTC-٦NOV26-90000-C",
    ],
)
def test_anything_else_is_no_symbol(text):
    with pytest.raises(SymbolInvalid):
        parse_symbol(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"underlying": "btc"},
        {"kind": "call"},
        {"expiry_at": NOVEMBER.replace(hour=9)},
        {"expiry_at": NOVEMBER.replace(microsecond=1)},
        {"expiry_at": NOVEMBER.replace(tzinfo=None)},
        {"expiry_at": NOVEMBER.replace(year=2126)},
        {"strike": Decimal(0)},
        {"strike": Decimal("90000.5")},
        {"strike": Decimal("NaN")},
        {"strike": Decimal("Infinity")},
        {"strike": Decimal(10) ** 12},
    ],
)
def test_terms_without_a_symbol_are_refused(changes):
    with pytest.raises(SymbolInvalid):
        formatted(**changes)
