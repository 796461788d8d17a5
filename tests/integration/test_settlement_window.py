"""The last half hour of an option: the feed quotes the average that will settle it, and the last opens are refused."""

from datetime import timedelta
from decimal import Decimal

import pytest

from counter.expiring import expiry
from counter.expiring.index_average import WINDOW
from counter.market import firm_quotes
from counter.market.feed import Feed
from counter.market.firm_quotes import CloseQuoteRequest, OpenQuoteRequest
from counter.market.quotes import current_quotes
from counter.models import Account, FirmQuote, IndexPrice, Position, Quote
from counter.orders.placing import place_orders
from counter.orders.requests import CloseRequest, OpenRequest, RejectCode, Rejected
from tests.support.expiring import AFTER, BEFORE, EXPIRES_AT
from tests.support.factories import make_customer, make_option, place, place_open, unique
from tests.support.index_sources import WrittenSource, begun
from tests.support.standing import Paused
from trade.holdings import Valuation

pytestmark = pytest.mark.django_db(transaction=True)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
BEGINS_AT = EXPIRES_AT - WINDOW
CONTRACTS = 10_000  # 100 BTC


def feed_of(term, *, now, **prices: int) -> Feed:
    """A feed whose index has been at these prices for the seconds before `now`."""
    source = WrittenSource(prices={coin: Decimal(price) for coin, price in prices.items()})
    return Feed(begun(source, now=now), term, judge=lambda leaps: None)


@pytest.fixture
def term():
    leading = Paused("feed", using="default")
    yield leading.term
    leading.close()


def option_at(strike, kind="C", underlying="BTC"):
    return make_option(underlying=underlying, strike=strike, kind=kind, days=1, now=BEFORE)


def record(price, *, first=0, until=WINDOW, underlying="BTC"):
    """A sample a second from the window's `first` minute on."""
    moments = range(first * 60, until // SECOND)
    IndexPrice.objects.bulk_create(
        IndexPrice(underlying=underlying, price=Decimal(price), at=BEGINS_AT + n * SECOND) for n in moments
    )


def moved(term, *, average, spot, seconds_left):
    """28 minutes of `average`, then `spot`, quoted some seconds before the expiry."""
    now = EXPIRES_AT - seconds_left * SECOND
    record(average, until=28 * MINUTE)
    record(spot, first=28, until=now - BEGINS_AT)
    feed_of(term, now=now, BTC=spot).tick(now=now)
    return now


def settle_at(spot, seconds_left):
    """The index stands still until the expiry, which is then settled."""
    record(spot, first=0, until=timedelta(0))
    moments = (EXPIRES_AT - n * SECOND for n in range(1, seconds_left))
    IndexPrice.objects.bulk_create(IndexPrice(underlying="BTC", price=Decimal(spot), at=at) for at in moments)
    expiry.expire_due(now=AFTER)


def open_of(customer, option, contracts=CONTRACTS, **changes):
    return OpenRequest(
        customer_id=customer.pk,
        client_order_id=unique("o"),
        symbol=option.symbol,
        contracts=contracts,
        **changes,
    )


def code_of(request, now):
    [outcome] = place_orders(requests=[request], now=now)
    assert isinstance(outcome, Rejected), outcome
    return outcome.code


# --- opening ---------------------------------------------------------------------------------------------------------


def test_eight_seconds_before_the_end_a_call_costs_what_the_average_makes_of_it(term, settings):
    settings.OPENS_END_BEFORE_EXPIRY_SECONDS = 0
    option, customer = option_at(90_300), make_customer(balance="100000", now=BEFORE)
    now = moved(term, average=90_916, spot=90_000, seconds_left=8)
    [order] = place(open_of(customer, option), now=now)
    settle_at(90_000, seconds_left=8)
    position = Position.objects.get(pk=order.position_id)
    # 28 minutes of 90,916 and two of 90,000 are 90,854.93: 100 coin of a call at 90,300 are worth 55,493.
    assert position.state == "EXERCISED"
    assert position.proceeds == pytest.approx(Decimal("55493.33"), abs=Decimal("0.01"))
    assert position.proceeds < order.amount < position.proceeds * Decimal("1.03")
    assert Account.objects.get(customer=customer).balance < 100_000


def test_eight_seconds_before_the_end_a_put_costs_what_the_average_makes_of_it(term, settings):
    settings.OPENS_END_BEFORE_EXPIRY_SECONDS = 0
    option, customer = option_at(90_600, kind="P"), make_customer(balance="100000", now=BEFORE)
    now = moved(term, average=90_000, spot=90_916, seconds_left=8)
    [order] = place(open_of(customer, option), now=now)
    settle_at(90_916, seconds_left=8)
    position = Position.objects.get(pk=order.position_id)
    assert position.proceeds == pytest.approx(Decimal("53893.33"), abs=Decimal("0.01"))
    assert position.proceeds < order.amount < position.proceeds * Decimal("1.03")


def test_in_its_last_minute_an_option_takes_no_opens_and_gives_no_firm_quote_for_one(term):
    option, customer = option_at(90_300), make_customer(balance="100000", now=BEFORE)
    now = moved(term, average=90_000, spot=90_000, seconds_left=60)
    assert code_of(open_of(customer, option, 1), now) is RejectCode.OPENS_ENDED
    asked = OpenQuoteRequest(customer.pk, option.symbol, 1)
    assert firm_quotes.give(request=asked, now=now).code is RejectCode.OPENS_ENDED
    [quoted] = current_quotes(now=now, symbol=option.symbol)
    assert quoted.cost is None
    assert quoted.quote.ask > 0


def test_a_firm_quote_for_an_open_does_not_outlive_the_last_open(term):
    option, customer = option_at(90_300), make_customer(balance="100000", now=BEFORE)
    now = moved(term, average=90_000, spot=90_000, seconds_left=62)
    quote = firm_quotes.give(request=OpenQuoteRequest(customer.pk, option.symbol, 1), now=now)
    assert isinstance(quote, FirmQuote)
    assert quote.expires_at == EXPIRES_AT - MINUTE
    assert code_of(open_of(customer, option, 1, quote_id=quote.pk), now + 2 * SECOND) in (
        RejectCode.QUOTE_EXPIRED,
        RejectCode.OPENS_ENDED,
    )
    [placed] = place(open_of(customer, option, 1, quote_id=quote.pk), now=now + SECOND)
    assert placed.amount == quote.amount


# --- closing ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def holder():
    return make_customer(balance="1000000", now=BEFORE)


def test_a_close_before_the_end_brings_no_more_than_the_option_will_be_worth(term, holder):
    call, put = option_at(90_300), option_at(90_300, kind="P")
    held = {
        kind: place_open(holder, one, contracts=100, now=BEFORE) for kind, one in (("C", call), ("P", put))
    }
    now = moved(term, average=90_000, spot=91_500, seconds_left=8)  # the average comes to 90,100

    close = CloseRequest(holder.pk, unique("c"), position_id=held["C"].position_id)
    assert code_of(close, now) is RejectCode.QUOTE_MISSING, "a call at 90,300 will be worth nothing"
    asked = CloseQuoteRequest(holder.pk, held["C"].position_id)
    assert firm_quotes.give(request=asked, now=now).code is RejectCode.QUOTE_MISSING

    firm = firm_quotes.give(request=CloseQuoteRequest(holder.pk, held["P"].position_id), now=now)
    positions = {
        position.option_id: position for position in Position.objects.select_related("option__quote")
    }
    valuation = Valuation(now=now)
    shown = {
        option_id: valuation.worth(position.option, position.remaining)
        for option_id, position in positions.items()
    }
    [closed] = place(CloseRequest(holder.pk, unique("c"), position_id=held["P"].position_id), now=now)
    # One coin of a put at 90,300 will be worth 200.
    assert closed.amount == firm.amount == shown[put.pk].amount
    assert Decimal(180) < closed.amount < Decimal(200)
    assert (shown[call.pk].amount, shown[call.pk].why) == (None, "nobody bids for it now")


def test_the_expected_average_is_quoted_from_listing_on_without_a_jump(term):
    option = option_at(90_000)

    def mark(at):
        feed_of(term, now=at, BTC=90_000).tick(now=at)
        return Quote.objects.get(option=option).mark * 90_000

    at_hour, before, begun = mark(BEGINS_AT - 30 * MINUTE), mark(BEGINS_AT - SECOND), mark(BEGINS_AT)
    assert before == pytest.approx(begun, rel=Decimal("0.002"))
    # A third of the half hour counts: 10 minutes to go, where 40 were.
    assert at_hour == pytest.approx(2 * before, rel=Decimal("0.02"))


# --- the record ------------------------------------------------------------------------------------------------------


def test_a_coin_whose_index_a_person_will_have_to_enter_is_not_quoted_and_stops_no_other(term):
    options = {
        coin: option_at(90_000 if coin == "BTC" else 3_000, underlying=coin) for coin in ("BTC", "ETH")
    }
    now = BEGINS_AT + 10 * MINUTE
    record(90_000, until=10 * MINUTE)
    record(3_000, until=5 * MINUTE, underlying="ETH")
    feed = feed_of(term, now=now - SECOND, BTC=90_000, ETH=3_000)
    feed.tick(now=now - SECOND)  # at first it quotes what is listed
    feed.tick(now=now)
    assert Quote.objects.get(option=options["BTC"]).quoted_at == now
    assert Quote.objects.get(option=options["ETH"]).quoted_at == BEFORE
    later = Quote.objects.filter(option__underlying="ETH", option__expires_at__gt=EXPIRES_AT)
    assert set(later.values_list("quoted_at", flat=True)) == {now}


def test_another_feed_that_takes_over_knows_the_same_average(term):
    option = option_at(90_300)
    now = moved(term, average=90_916, spot=90_000, seconds_left=20)
    before = Quote.objects.get(option=option).mark
    feed_of(term, now=now + SECOND, BTC=90_000).tick(now=now + SECOND)
    after = Quote.objects.get(option=option)
    assert after.quoted_at == now + SECOND
    assert after.mark == pytest.approx(before, abs=Decimal("0.000001"))
