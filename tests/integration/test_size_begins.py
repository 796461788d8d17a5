"""From the first moment on an order pays for its size, after a feed has begun or a depth was set, and never all."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from config.environment import Subject
from counter.market import feed
from counter.market.book_base import BookBase
from counter.market.quotes import record_index
from counter.models import BookFlow, DepthChange, Option, Quote, TradingStatus
from counter.orders.placing import place_orders
from counter.orders.requests import CloseRequest, OpenRequest
from counter.pricing.impact import Depths
from counter.trading.depths import DepthRefused, read_books, set_depths
from tests.support.factories import make_customer, make_option, make_quote, place_open, unique
from tests.support.index_sources import WrittenSource, begun
from tests.support.standing import Paused

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class OneTick(threading.Event):
    """Is set as soon as the feed waits for its next tick."""

    def wait(self, timeout=None):
        if threading.current_thread() is threading.main_thread():
            self.set()
        return super().wait(timeout)


@pytest.fixture
def term(transactional_db):
    leading = Paused("feed", using="default")
    yield leading.term
    leading.close()


def charging(coin="BTC", *, now, depths=None):
    TradingStatus.objects.create(underlying=coin, spread_rate="0.005", since=now, judged_at=now)
    depths = depths or Depths(Decimal(100_000), Decimal(1000), Decimal(100_000))
    set_depths(underlying=coin, to=depths, reason="a test", by="ann", now=now)


def test_the_first_quotes_of_a_feed_have_greeks_where_size_is_charged(two_systems, term):
    """After a restart or a failover of the feed orders of any size would pay for premiums only, for a second."""
    now = timezone.now()
    charging(now=now)
    prices = {"BTC": Decimal(90_000), "ETH": Decimal(3_000)}
    for ago in (4, 3, 2, 1):  # published by the feed before
        record_index(prices=prices, now=now - timedelta(seconds=ago))
    feed._quote_on(begun(WrittenSource(prices=prices), now=now), [], OneTick(), term)
    quoted = Quote.objects.filter(option__underlying="BTC")
    assert quoted.count() > 10
    assert not quoted.filter(delta=None).exists()
    assert not quoted.filter(vega=None).exists()
    calls = Option.objects.filter(underlying="BTC", kind="C")
    assert all(0 <= quote.delta <= 1 for quote in quoted.filter(option__in=calls))
    assert not Quote.objects.filter(option__underlying="ETH").exclude(delta=None).exists()


def test_a_coin_whose_book_cannot_be_measured_is_quoted_with_greeks(two_systems, monkeypatch):
    now = timezone.now()
    charging(now=now)
    base = BookBase(term=None)

    def broken(*, now):
        raise ArithmeticError("no book")

    monkeypatch.setattr("counter.market.book_reader.read_book", broken)
    base.tick(now=now)
    assert base.coins == {"BTC"}
    monkeypatch.undo()
    kept = []
    monkeypatch.setattr(base, "_keep", kept.append)
    base.tick(now=now)  # and it is tried again with the next tick
    base.tick(now=now)
    assert [set(bases) for bases in kept] == [{"BTC"}]


@pytest.mark.django_db
@pytest.mark.parametrize("flown", [False, True])
def test_orders_count_from_the_moment_at_which_a_depth_is_set(flown):
    """Until the first measure: 0.001 / 200,000 * (premium in USDT)², of the whole as of its parts."""
    option, customer = make_option(now=NOW), make_customer(balance="1000000", now=NOW)
    make_quote(option, now=NOW)
    if flown:  # of another measure, which was charged before
        BookFlow.objects.create(underlying="BTC", writer=7, delta=-3, vega=-9, premium=Decimal("4.5"))
    charging(now=NOW, depths=Depths(premium=Decimal(100_000)))
    assert read_books()["BTC"].at.premium == 0

    def cost(contracts):
        request = OpenRequest(customer.pk, unique("o"), option.symbol, contracts, max_cost=Decimal(10**6))
        [outcome] = place_orders(requests=[request], now=NOW)
        return outcome.order.amount

    parts = [cost(1000) for _ in range(2)]
    # 1,000 contracts of 0.01 BTC at 0.025 and 90,000 are 22,500 USDT: 2.53125 and 7.59375 are charged, and 0.5 %.
    assert parts == [Decimal("22615.043907"), Decimal("22620.131719")]
    assert read_books()["BTC"].at.premium == Decimal("0.5")


@pytest.mark.django_db
@pytest.mark.parametrize("depth", ["NaN", "sNaN", "Infinity", "-Infinity", "1e22", "1e28", "-1", "0.0000001"])
def test_what_is_no_depth_is_refused_and_changes_nothing(depth):
    charging(now=NOW, depths=Depths(delta=Decimal(5)))
    for to in (Depths(delta=Decimal(depth)), Depths(premium=Decimal(depth))):
        with pytest.raises(DepthRefused, match="depth has"):
            set_depths(underlying="BTC", to=to, reason="a typing error", by="ann", now=NOW)
    with pytest.raises(CommandError, match="depth has"):
        call_command("trading", "size", "BTC", f"--vega={depth}", "--reason", "r", stdout=StringIO())
    assert TradingStatus.objects.get().delta_depth == 5
    assert DepthChange.objects.count() == 1


@pytest.mark.django_db
def test_what_is_no_number_is_refused_at_the_console():
    with pytest.raises(CommandError, match="1,000,000 is no number of USDT"):
        call_command("trading", "size", "BTC", "--delta", "1,000,000", "--reason", "r", stdout=StringIO())


@pytest.mark.django_db
@pytest.mark.parametrize("depth", ["0.000001", "99999999999999.999999"])
def test_at_any_depth_that_can_be_set_orders_are_taken_and_pay_a_bounded_charge(depth):
    """At most 5 % of the order by each of the three measures, however it was mistyped."""
    option, customer = make_option(now=NOW), make_customer(balance="1000000", now=NOW)
    make_quote(option, now=NOW)
    Quote.objects.update(delta=Decimal("0.5"), vega=Decimal(90))
    charging(now=NOW, depths=Depths(*[Decimal(depth)] * 3))
    for contracts in (1, 1000):
        request = OpenRequest(customer.pk, unique("o"), option.symbol, contracts, max_cost=Decimal(10**6))
        [outcome] = place_orders(requests=[request], now=NOW)
        fair = Decimal("22.5") * contracts
        charged = outcome.order.amount / Decimal("1.005") - fair
        assert 0 < charged <= fair * 3 * Decimal("0.05") + Decimal("0.000004")


@pytest.mark.django_db
def test_a_close_brings_something_at_the_largest_share_that_the_charges_may_take(settings):
    """From a third on all three together took all of it, and the close was refused: nobody could get out."""
    [allowed] = [
        variable.allowed
        for subject in Subject.declared
        for variable in subject.variables
        if variable.name == "IMPACT_MOST_RATE"
    ]
    assert allowed == "from 0 to below 0.33"
    settings.IMPACT_MOST_RATE = Decimal("0.329999")
    option, customer = make_option(now=NOW), make_customer(balance="1000000", now=NOW)
    make_quote(option, now=NOW)
    Quote.objects.update(delta=Decimal("0.5"), vega=Decimal(90))
    opened = place_open(customer, option, contracts=100, now=NOW)
    charging(now=NOW, depths=Depths(*[Decimal("0.01")] * 3))
    request = CloseRequest(
        customer_id=customer.pk,
        client_order_id=unique("c"),
        position_id=opened.position_id,
        contracts=100,
        min_proceeds=Decimal("0.000001"),
    )
    [outcome] = place_orders(requests=[request], now=NOW)
    # 100 contracts at a bid of 0.02 are 1,800 USDT. The largest share, 593.9982, is taken three times, but for the
    # first part of each measure, up to 0.132, 0.132 and 3.3 USDT from 0: 0.000871, 0.435597 and 0.544496 less.
    assert outcome.order.amount == Decimal("18.891432")
