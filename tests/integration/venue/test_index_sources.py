"""Sources of the index read from real venues: one that is slow, dead or without a symbol keeps nobody waiting."""

import time
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from counter.market.index import Index
from counter.market.index_sources import configured
from tests.support.paper_process import running_venue

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def venues():
    with running_venue() as one, running_venue() as other:
        for venue in (one, other):
            venue.control("POST", "price", symbol="BTCUSDT", price="90000")
            venue.control("POST", "price", symbol="ETHUSDT", price="3000")
        yield one, other


def read_until_both(index, *, within=10.0):
    until = time.monotonic() + within
    while time.monotonic() < until:
        reading = index.read(now=timezone.now())
        if len(reading.prices) == 2:
            return reading
        time.sleep(0.1)
    raise AssertionError(reading)


@pytest.mark.timed
def test_each_source_is_read_by_itself_and_a_slow_or_dead_one_costs_a_bounded_wait(venues, settings):
    one, other = venues
    settings.VENUE_URL = one.url
    settings.INDEX_SOURCES = [("binanceus", other.url), ("binance", NOWHERE)]
    sources = configured()
    assert [source.name for source in sources] == ["binance", "binanceus", "binance-2"]
    index = Index(sources)
    reading = read_until_both(index)
    assert {round(point.price) for point in reading.prices.values()} == {90_000, 3_000}
    assert {(each.source, each.cause) for each in reading.rejected["BTC"]} == {("binance-2", "unreachable")}

    other.control("POST", "faults", kind="latency", delay_ms=5000)
    for _ in range(3):
        started = time.monotonic()
        index.read(now=timezone.now() + timedelta(seconds=1))
        assert time.monotonic() - started < settings.INDEX_WAIT_SECONDS + 0.5
    assert len(read_until_both(index).prices) == 2


@pytest.mark.parametrize("kind", ["one_sided_book", "crossed_book", "wide_book", "wick"])
def test_an_odd_book_of_one_coin_leaves_the_other_its_price(venues, settings, kind):
    one, _ = venues
    settings.VENUE_URL = one.url
    index = Index(configured())
    read_until_both(index)
    one.control("POST", "faults", kind=kind, symbol="ETHUSDT", path="/api/v3/ticker/bookTicker")
    reading = index.read(now=timezone.now() + timedelta(seconds=1))
    assert set(reading.prices) == {"BTC"}
    assert [each.cause for each in reading.rejected["ETH"]] == [
        {"wick": "leap", "one_sided_book": "one_sided", "crossed_book": "crossed", "wide_book": "wide"}[kind]
    ]


def test_the_venue_named_again_is_one_source_and_an_unknown_exchange_none(settings):
    settings.INDEX_SOURCES = [(settings.VENUE, settings.VENUE_URL)]
    assert len(configured()) == 1
    settings.INDEX_SOURCES = [("krakken", "")]
    with pytest.raises(ImproperlyConfigured, match="krakken"):
        configured()
