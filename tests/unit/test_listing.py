from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter.market.listing import ListingInvalid, expiries, listings, strikes
from counter.market.symbols import parse_symbol

MONDAY = datetime(2026, 11, 9, 12, tzinfo=UTC)


def at(month, day, year=2026):
    return datetime(year, month, day, 8, tzinfo=UTC)


def test_expiries_are_two_days_three_fridays_and_two_month_ends():
    assert expiries(now=MONDAY) == [
        at(11, 10),
        at(11, 11),
        at(11, 13),
        at(11, 20),
        at(11, 27),
        at(12, 25),
    ]


def test_an_expiry_is_over_at_its_own_moment():
    friday = at(11, 13)
    assert expiries(now=friday, dailies=1, weeklies=1, month_ends=0) == [at(11, 14), at(11, 20)]
    before = friday - timedelta(seconds=1)
    assert expiries(now=before, dailies=1, weeklies=1, month_ends=0) == [friday]


def test_a_month_whose_last_friday_is_over_gives_way_to_the_next():
    assert expiries(now=at(11, 28), dailies=0, weeklies=0, month_ends=2) == [at(12, 25), at(1, 29, 2027)]


@given(st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_expiries_rise_after_now_and_the_later_ones_are_fridays(now):
    found = expiries(now=now)
    assert found == sorted(set(found))
    assert now < found[0] <= now + timedelta(days=1)
    assert {moment.timetz() for moment in found} == {found[0].timetz()}
    assert all(moment.weekday() == 4 for moment in found[2:])
    assert 5 <= len(found) <= 7


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("91234.56", [90000, 91000, 92000]),
        ("3021.4", [2950, 3000, 3050]),
        ("120500", [118000, 120000, 122000]),
        ("49.9", [49, 50, 51]),
        ("250", [245, 250, 255]),
    ],
)
def test_strikes_are_nice_steps_around_the_index(index, expected):
    assert strikes(index=Decimal(index), each_side=1) == expected


@given(st.decimals("1", "10000000", places=2), st.integers(0, 20))
def test_strikes_stand_around_the_index_and_are_positive(index, each_side):
    found = strikes(index=index, each_side=each_side)
    steps = {high - low for low, high in pairwise(found)}
    assert len(steps) <= 1
    assert found[0] > 0
    nearest = min(found, key=lambda strike: abs(strike - index))
    step = steps.pop() if steps else max(Decimal(1), index / 50)
    assert abs(nearest - index) <= step / 2
    assert step <= max(Decimal(1), index / 50)


def test_a_listing_has_the_symbol_and_multiplier_of_its_terms():
    found = listings(underlying="ETH", index=Decimal("3021.4"), now=MONDAY, strikes_each_side=2)
    assert len(found) == 6 * 5 * 2
    assert len({listing.symbol for listing in found}) == len(found)
    for listing in found:
        terms = parse_symbol(listing.symbol)
        assert (listing.underlying, listing.expiry_at, listing.strike, listing.kind) == (
            terms.underlying,
            terms.expiry_at,
            terms.strike,
            terms.kind,
        )
        assert listing.multiplier == Decimal("0.1")
    assert {
        listing.multiplier for listing in listings(underlying="BTC", index=Decimal(90000), now=MONDAY)
    } == {Decimal("0.01")}


def test_an_underlying_without_a_multiplier_is_not_listed():
    with pytest.raises(ListingInvalid, match="DOGE"):
        listings(underlying="DOGE", index=Decimal(1), now=MONDAY)


@pytest.mark.parametrize("index", ["0", "0.5", "-1", "NaN", "Infinity"])
def test_an_index_below_one_has_no_strikes(index):
    with pytest.raises(ListingInvalid):
        strikes(index=Decimal(index))
