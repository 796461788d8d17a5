"""Limits on the option book: delta and vega of a coin that are crossed warn, widen and halt it, and closing goes on."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cockpit import snapshot
from cockpit.alerts import alerts
from counter.market.book import read_book
from counter.market.book_limits import BookLimits
from counter.market.book_reader import BookReader
from counter.models import TradingStatus
from counter.orders.placing import place_orders
from counter.orders.requests import OpenRequest, RejectCode
from counter.trading.watch import Watch
from tests.support.factories import make_customer, make_option, make_quote, place_close, place_open, unique


class Judged:
    """A coin with one option at the money, and the feed's judgement at moments that a test chooses."""

    def __init__(self):
        self.now = timezone.now()
        self.option, self.ether = make_option(now=self.now), make_option(underlying="ETH", now=self.now)
        self.customer = make_customer(balance="10000000", now=self.now)
        self.reader = BookReader()
        self.book = BookLimits(self.reader)
        self.watch = Watch(started_at=self.now, book=self.book.measures)

    def at(self, seconds):
        """The state of bitcoin after so many seconds, freshly quoted and measured."""
        now = self.now + timedelta(seconds=seconds)
        for option in (self.option, self.ether):
            make_quote(option, now=now)
        self.reader._due_at = None
        self.watch.judge(now=now)
        return TradingStatus.objects.get(underlying="BTC")

    def open(self, contracts):
        return place_open(self.customer, self.option, contracts=contracts, now=self.now)


@pytest.fixture
def judged(two_systems, settings):
    settings.REOPEN_AFTER_SECONDS = 2.0
    patient = {"desk_silent": (Decimal(600), Decimal(600))}
    settings.BREAKER_AFTER_SECONDS = settings.BREAKER_AFTER_SECONDS | patient
    return Judged()


def codes(now):
    return [alert.code for alert in alerts(snapshot.read(now=now))]


def test_a_delta_that_is_crossed_warns_then_widens_then_halts_and_closing_brings_it_back(judged, settings):
    """One contract at the money has a delta of about 0.0054 coin, 480 USDT."""
    settings.BREAKER_BOOK_DELTA_USDT = {"BTC": (Decimal(100_000), Decimal(150_000))}
    judged.open(150)
    status = judged.at(1)
    assert (status.state, status.book_vega_usdt) == ("NORMAL", None)
    assert 68_000 < status.book_delta_usdt < 78_000
    assert "book_risk_high" not in codes(judged.now)
    judged.open(30)
    assert judged.at(2).state == "NORMAL"
    assert "book_risk_high" in codes(judged.now)
    judged.open(60)
    status = judged.at(3)
    assert (status.state, status.reasons, status.spread_rate) == ("WIDE", ["book_delta"], Decimal("0.02"))
    assert status.why.startswith("book_delta 11")
    assert "USDT (limits 100000, 150000)" in status.why
    assert "book_risk_high" not in codes(judged.now)  # the alert of the contained coin says the reason
    last = judged.open(100)
    assert judged.at(4).state == "HALTED"
    assert TradingStatus.objects.get(underlying="ETH").state == "NORMAL"
    request = OpenRequest(
        customer_id=judged.customer.pk, client_order_id=unique("o"), symbol=judged.option.symbol, contracts=1
    )
    [refused] = place_orders(requests=[request], now=judged.now + timedelta(seconds=4))
    assert refused.code == RejectCode.COIN_HALTED

    place_close(last, now=judged.now + timedelta(seconds=4))
    # What is left is below 80 % of the halting limit and not of the widening one: one step, and no further.
    assert [judged.at(seconds).state for seconds in (5, 7.5, 10, 15)] == ["HALTED", "WIDE", "WIDE", "WIDE"]


def test_vega_has_limits_of_its_own(judged, settings):
    settings.BREAKER_BOOK_VEGA_USDT = {"BTC": (Decimal(50), Decimal(1_000))}
    judged.open(60)
    status = judged.at(1)
    assert (status.state, status.reasons, status.book_delta_usdt) == ("WIDE", ["book_vega"], None)
    vega = read_book(now=judged.now + timedelta(seconds=1)).by_coin()["BTC"].vega
    assert vega < -50
    assert float(status.book_vega_usdt) == pytest.approx(-vega, rel=1e-6)


def test_without_limits_the_book_is_not_read_and_with_them_not_with_every_tick(judged, settings):
    judged.open(1)
    with CaptureQueriesContext(connection) as asked:
        assert judged.book.measures(judged.now) == {}
    assert len(asked) == 0
    settings.BREAKER_BOOK_DELTA_USDT = {"ETH": (Decimal(1), Decimal(2))}
    with CaptureQueriesContext(connection) as asked:
        first = judged.book.measures(judged.now)
        assert judged.book.measures(judged.now + timedelta(microseconds=1)) == first
    assert len(asked) == 1
    assert first == {"BTC": {}, "ETH": {"book_delta": Decimal(0)}}


def test_a_book_that_cannot_be_read_leaves_the_coins_unjudged(judged, settings, monkeypatch):
    settings.BREAKER_BOOK_DELTA_USDT = {"BTC": (Decimal(1), Decimal(2))}
    judged.at(1)

    def broken(*, now):
        raise ArithmeticError("no book")

    monkeypatch.setattr("counter.market.book_reader.read_book", broken)
    before = TradingStatus.objects.get(underlying="BTC").judged_at
    judged.reader._due_at = None
    judged.watch.tick(now=judged.now + timedelta(seconds=5))  # which goes on
    assert TradingStatus.objects.get(underlying="BTC").judged_at == before
