"""The option book is read in one statement, priced at the newest index, and turned to the exchange's side."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from counter.market import book as books
from counter.market.book import largest_customers, net_positions, read_book
from counter.market.quote_greeks import greeks_by_option
from counter.models import Option, Quote
from counter.pricing.book_risk import total
from tests.support.factories import make_customer, make_option, make_quote, place_close, place_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    return timezone.now()


def test_net_positions_count_what_is_left_of_all_customers_and_nothing_closed(now):
    call, put, unheld = make_option(), make_option(kind="P"), make_option(strike=120_000)
    first, second = make_customer(), make_customer()
    opened = place_open(first, call, contracts=7)
    place_close(opened, contracts=3)
    place_open(second, call, contracts=5)
    closed = place_open(second, put, contracts=2)
    place_close(closed)
    [net] = net_positions()
    assert (net.symbol, net.contracts, net.coin, net.positions) == (call.symbol, 9, Decimal("0.09"), 2)
    assert unheld.symbol != net.symbol


def test_a_book_of_sold_calls_loses_when_the_coin_rises(now):
    option = make_option(index=Decimal(90_000))
    customer = make_customer()
    place_open(customer, option, contracts=100)
    book = read_book(now=now)
    [series] = book.series
    assert series.risk is not None
    # At the money, a month, 50 %: one coin of calls in all.
    assert -0.58 < series.risk.delta / 90_000 < -0.51
    assert series.risk.value < 0
    assert series.risk.vega == pytest.approx(-102, abs=6)
    assert book.by_coin() == {"BTC": series.risk}
    assert book.by_expiry() == {("BTC", option.expires_at): series.risk}
    assert book.index == {"BTC": Decimal(90_000)}
    [largest] = largest_customers(book, most=5)
    assert (largest.reference, largest.contracts) == (customer.reference, 100)
    assert largest.delta == pytest.approx(series.risk.delta)
    assert largest.value == pytest.approx(series.risk.value)


def test_a_stale_series_is_priced_at_the_coin_s_newest_index(now):
    old, new = make_option(strike=80_000), make_option(strike=100_000)
    customer = make_customer()
    place_open(customer, old, contracts=10)
    place_open(customer, new, contracts=10)
    make_quote(old, index=Decimal(90_000), now=now - timedelta(minutes=5))
    make_quote(new, index=Decimal(99_000), now=now)
    Quote.objects.filter(option=old).update(forward=Decimal(90_900))
    book = read_book(now=now)
    assert book.index == {"BTC": Decimal(99_000)}
    assert book.quoted_at == {"BTC": now}
    by_symbol = {held.symbol: held for held in book.held}
    assert by_symbol[old.symbol].index == 99_000
    assert by_symbol[old.symbol].forward == pytest.approx(99_000 * 1.01)
    assert by_symbol[new.symbol].forward == pytest.approx(99_000)


def test_what_has_no_price_is_named_and_in_no_figure(now):
    living, expired, unquoted = make_option(), make_option(strike=80_000), make_option(strike=70_000)
    customer = make_customer()
    for option in (living, expired, unquoted):
        place_open(customer, option, contracts=1)
    Option.objects.filter(pk=expired.pk).update(expires_at=now - timedelta(seconds=1))
    Quote.objects.filter(option=unquoted).delete()
    book = read_book(now=now)
    assert {net.symbol for net in book.unpriced} == {expired.symbol, unquoted.symbol}
    assert [held.symbol for held in book.held] == [living.symbol]
    assert book.by_coin()["BTC"] == total(each.risk for each in book.series if each.risk)


def test_the_largest_customers_are_those_whose_options_are_worth_most(now):
    btc, eth = make_option(), make_option(underlying="ETH")
    small, large, other = make_customer(), make_customer(), make_customer()
    place_open(small, eth, contracts=20)
    place_open(large, btc, contracts=80)
    place_open(large, eth, contracts=10)
    place_open(other, btc, contracts=40)
    book = read_book(now=now)
    found = largest_customers(book, most=2)
    assert [each.reference for each in found] == [large.reference, other.reference]
    assert found[0].contracts == 90
    everyone = largest_customers(book, most=10)
    for name in ("value", "delta", "vega"):
        whole = sum(getattr(risk, name) for risk in book.by_coin().values())
        assert sum(getattr(each, name) for each in everyone) == pytest.approx(whole)


def test_the_book_is_one_statement_however_many_series_and_an_empty_one_is_no_trouble(now):
    assert read_book(now=now).series == []
    assert largest_customers(read_book(now=now), most=3) == []
    customer = make_customer()
    for strike in range(80_000, 90_000, 1_000):
        place_open(customer, make_option(strike=strike), contracts=1)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert len(read_book(now=now).held) == 10
    assert len(asked) == 1


def test_within_the_last_half_hour_the_record_of_the_index_counts(now):
    """Ten minutes before its expiry two thirds of the average are known: delta is at most what is open."""
    from counter.models import IndexPrice

    option = make_option(index=Decimal(90_000), strike=80_000)
    place_open(make_customer(), option, contracts=100)
    at = option.expires_at - timedelta(minutes=10)
    moments = [at - timedelta(seconds=second) for second in range(0, 1200, 5)]
    IndexPrice.objects.bulk_create(
        IndexPrice(underlying="BTC", price=Decimal(90_000), at=moment) for moment in moments
    )
    make_quote(option, now=at)
    [series] = read_book(now=at).series
    assert series.risk is not None
    assert series.risk.delta / 90_000 == pytest.approx(-1 / 3, abs=0.02)
    assert series.risk.vega == 0
    assert series.risk.value == pytest.approx(-10_000, abs=1)
    [quote] = Quote.objects.select_related("option")
    assert greeks_by_option([quote], now=at)[option.pk].delta == pytest.approx(1 / 3, abs=0.02)
    IndexPrice.objects.filter(
        at__gt=at - timedelta(minutes=5)
    ).delete()  # a gap: a person will enter the index
    assert [net.symbol for net in read_book(now=at).unpriced] == [option.symbol]
    assert greeks_by_option([quote], now=at) == {}
    assert books.averages_begun([("BTC", option.expires_at)], now=at) == {}
