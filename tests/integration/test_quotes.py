"""The quote book: quotes only move forward in time, listing again adds nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from counter.market.listing import listings
from counter.market.quotes import ListingContradicted, NewQuote, list_options, record_index, update_quotes
from counter.models import IndexPrice, Option, Quote

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
OFFERED = listings(underlying="BTC", index=Decimal(90_000), now=NOW, strikes_each_side=1)


def quote_of(symbol, ask="0.03"):
    return NewQuote(
        symbol=symbol,
        bid=None,
        ask=Decimal(ask),
        mark=Decimal("0.02"),
        implied_volatility=Decimal("0.55"),
        index_price=Decimal("90000.12345678"),
    )


@pytest.fixture
def listed():
    return list_options(listings=OFFERED, now=NOW)


def test_listing_adds_what_is_new_and_nothing_twice(listed):
    assert listed == [listing.symbol for listing in OFFERED]
    assert list_options(listings=OFFERED, now=NOW) == []
    more = listings(underlying="ETH", index=Decimal(3_000), now=NOW, strikes_each_side=0)
    assert list_options(listings=[*OFFERED, *more], now=NOW) == [listing.symbol for listing in more]
    option = Option.objects.get(symbol=OFFERED[0].symbol)
    assert (option.underlying, option.kind, option.strike) == ("BTC", OFFERED[0].kind, OFFERED[0].strike)
    assert (option.expires_at, option.multiplier, option.state) == (
        OFFERED[0].expiry_at,
        Decimal("0.01"),
        "LISTED",
    )


def test_listing_leaves_halted_and_expired_options_alone(listed):
    Option.objects.filter(symbol=listed[0]).update(state="HALTED")
    assert list_options(listings=OFFERED, now=NOW) == []
    assert Option.objects.get(symbol=listed[0]).state == "HALTED"
    Option.objects.all().delete()
    assert list_options(listings=OFFERED, now=OFFERED[-1].expiry_at) == []


def test_listing_on_other_terms_is_refused_as_a_whole(listed):
    new = replace(OFFERED[1], symbol="BTC-1JAN27-1-C")
    with pytest.raises(ListingContradicted):
        list_options(listings=[new, replace(OFFERED[0], multiplier=Decimal(1))], now=NOW)
    assert not Option.objects.filter(symbol=new.symbol).exists()


def test_quotes_are_stored_and_replaced(listed):
    assert update_quotes(quotes=[quote_of(symbol) for symbol in listed], now=NOW) == len(listed)
    later = NOW + timedelta(seconds=1)
    assert update_quotes(quotes=[quote_of(listed[0], ask="0.04")], now=later) == 1
    quote = Quote.objects.get(option__symbol=listed[0])
    assert (quote.bid, quote.ask, quote.mark, quote.quoted_at) == (
        None,
        Decimal("0.04"),
        Decimal("0.02"),
        later,
    )
    assert (quote.implied_volatility, quote.index_price) == (Decimal("0.55"), Decimal("90000.12345678"))
    assert Quote.objects.get(option__symbol=listed[1]).quoted_at == NOW


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=1)])
def test_an_older_quote_never_replaces_a_newer_one(listed, age):
    update_quotes(quotes=[quote_of(listed[0])], now=NOW)
    assert update_quotes(quotes=[quote_of(listed[0], ask="0.9")], now=NOW - age) == 0
    assert Quote.objects.get(option__symbol=listed[0]).ask == Decimal("0.03")


def test_unknown_symbols_are_passed_over_and_the_last_of_two_counts(listed):
    quotes = [quote_of("NO-SUCH"), quote_of(listed[0], ask="0.1"), quote_of(listed[0], ask="0.2")]
    assert update_quotes(quotes=quotes, now=NOW) == 1
    assert Quote.objects.get(option__symbol=listed[0]).ask == Decimal("0.2")
    assert update_quotes(quotes=[], now=NOW) == 0


def test_index_prices_are_kept():
    record_index(prices={"BTC": Decimal("90000.5"), "ETH": Decimal("3000.25")}, now=NOW)
    rows = IndexPrice.objects.order_by("underlying").values_list("underlying", "price", "at")
    assert list(rows) == [("ETH", Decimal("3000.25"), NOW), ("BTC", Decimal("90000.5"), NOW)][::-1]
