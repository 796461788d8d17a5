"""Firm quotes on a real database: what they promise, to whom, how often and until when."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from counter.market import firm_quotes
from counter.market.firm_quotes import CloseQuoteRequest, OpenQuoteRequest, give, sweep
from counter.models import Account, FirmQuote, Option, Position, SyncOrder, TradingStatus
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, CloseRequest, OpenRequest, RejectCode, Rejected
from tests.support.factories import make_customer, make_option, make_quote, place_open, unique
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=4)
COST_OF_ONE = Decimal("22.612500")
PROCEEDS_OF_ONE = Decimal("17.910000")


@pytest.fixture
def option():
    return make_option(now=NOW)


@pytest.fixture
def customer():
    return make_customer(balance="1000", now=NOW)


def ask_open(customer, option, contracts=2, now=NOW):
    return give(
        request=OpenQuoteRequest(customer_id=customer.pk, symbol=option.symbol, contracts=contracts), now=now
    )


def ask_close(customer, position_id, contracts=None, now=NOW):
    return give(
        request=CloseQuoteRequest(customer_id=customer.pk, position_id=position_id, contracts=contracts),
        now=now,
    )


def opening(customer, option, quote, contracts=2, **changes):
    fields = {"client_order_id": unique("o"), "symbol": option.symbol, "contracts": contracts} | changes
    return OpenRequest(customer_id=customer.pk, quote_id=quote.pk, **fields)


def closing(customer, position_id, quote, **changes):
    fields = {"client_order_id": unique("c"), "position_id": position_id} | changes
    return CloseRequest(customer_id=customer.pk, quote_id=quote.pk, **fields)


def one(request, now=LATER):
    [outcome] = place_orders(requests=[request], now=now)
    return outcome


def code_of(outcome):
    assert isinstance(outcome, Rejected), outcome
    assert outcome.message
    return outcome.code


# --- the price ------------------------------------------------------------------------------------------------------


def test_an_open_gets_the_quoted_price_though_the_market_has_moved(customer, option):
    quote = ask_open(customer, option)
    assert (quote.amount, quote.expires_at) == (2 * COST_OF_ONE, NOW + timedelta(seconds=5))
    make_quote(option, ask="0.500000", index=Decimal(120_000), now=LATER)

    order = one(opening(customer, option, quote)).order

    promised = (quote.premium, quote.index_price, quote.coin, quote.fair, quote.spread, quote.amount)
    assert (
        order.premium,
        order.index_price,
        order.coin,
        order.fair,
        order.spread,
        order.amount,
    ) == promised
    stored = SyncOrder.objects.get(pk=order.id)
    assert (stored.fair, stored.amount, stored.quote_id) == (quote.fair, quote.amount, quote.pk)
    assert Account.objects.get(customer=customer).balance == 1000 - 2 * COST_OF_ONE
    assert Position.objects.get(pk=order.id).cost == 2 * COST_OF_ONE
    quote.refresh_from_db()
    assert (quote.state, quote.order_id) == ("USED", order.id)


def test_a_close_gets_the_quoted_price_although_no_price_is_known_any_more(customer, option):
    opened = place_open(customer, option, contracts=3, now=NOW)
    quote = ask_close(customer, opened.position_id, contracts=2)
    option.quote.delete()

    order = one(closing(customer, opened.position_id, quote)).order

    assert (order.contracts, order.amount) == (2, 2 * PROCEEDS_OF_ONE)
    assert Position.objects.get(pk=opened.position_id).remaining == 1


def test_a_close_of_all_is_quoted_for_what_is_left(customer, option):
    opened = place_open(customer, option, contracts=3, now=NOW)
    assert ask_close(customer, opened.position_id).contracts == 3


def test_it_ends_with_its_option(customer):
    option = make_option(now=NOW)
    opened = place_open(customer, option, now=NOW)
    Option.objects.filter(pk=option.pk).update(expires_at=NOW + timedelta(seconds=2))
    assert ask_close(customer, opened.position_id).expires_at == NOW + timedelta(seconds=2)
    Option.objects.filter(pk=option.pk).update(expires_at=NOW + timedelta(seconds=62))
    assert ask_open(customer, option).expires_at == NOW + timedelta(seconds=2), "opens end a minute before"


# --- once, until then, for one customer and this ---------------------------------------------------------------------


def test_it_expires(customer, option):
    quote = ask_open(customer, option)
    at = quote.expires_at
    assert code_of(one(opening(customer, option, quote), now=at)) == RejectCode.QUOTE_EXPIRED
    assert isinstance(one(opening(customer, option, quote), now=at - timedelta(microseconds=1)), Accepted)


def test_it_is_used_once_also_within_a_batch(customer, option):
    quote = ask_open(customer, option)
    outcomes = place_orders(requests=[opening(customer, option, quote) for _ in range(2)], now=LATER)
    assert isinstance(outcomes[0], Accepted)
    assert code_of(outcomes[1]) == RejectCode.QUOTE_USED
    assert code_of(one(opening(customer, option, quote))) == RejectCode.QUOTE_USED


def test_the_same_order_again_gets_the_same_answer_long_after(customer, option):
    quote = ask_open(customer, option)
    request = opening(customer, option, quote)
    first = one(request)
    again = one(request, now=NOW + timedelta(hours=3))
    assert again.replayed
    assert again.order == first.order


def test_the_same_order_without_its_quote_is_another_one(customer, option):
    request = opening(customer, option, ask_open(customer, option))
    one(request)
    plain = OpenRequest(customer.pk, request.client_order_id, option.symbol, 2)
    assert code_of(one(plain)) == RejectCode.CLIENT_ORDER_ID_REUSED


def test_a_refused_order_leaves_it_usable(customer, option):
    quote = ask_open(customer, option)
    refused = one(opening(customer, option, quote, max_cost=Decimal(1)))
    assert code_of(refused) == RejectCode.PRICE_MOVED
    assert isinstance(one(opening(customer, option, quote)), Accepted)


def test_nobody_else_can_use_it(customer, option):
    quote = ask_open(customer, option)
    other = make_customer(balance="1000", now=NOW)
    assert code_of(one(opening(other, option, quote))) == RejectCode.QUOTE_NOT_FOUND


def test_it_is_good_for_nothing_else(customer, option):
    quote = ask_open(customer, option)
    other_option = make_option(strike=95_000, now=NOW)
    opened, second = (place_open(customer, option, contracts=2, now=NOW) for _ in range(2))
    close_quote = ask_close(customer, opened.position_id)
    for request in (
        opening(customer, option, quote, contracts=1),
        opening(customer, other_option, quote),
        opening(customer, option, close_quote),
        closing(customer, opened.position_id, quote),
        closing(customer, opened.position_id, close_quote, contracts=1),
        closing(customer, second.position_id, close_quote),
        closing(customer, opened.position_id, close_quote, payout="at_fill"),
    ):
        assert code_of(one(request)) == RejectCode.QUOTE_MISMATCH, request


def test_twenty_orders_at_once_use_it_once(transactional_db):
    option, customer = make_option(now=NOW), make_customer(balance="10000", now=NOW)
    quote = ask_open(customer, option)
    requests = [opening(customer, option, quote) for _ in range(20)]

    results = at_once(partial(place_orders, requests=[request], now=LATER) for request in requests)

    codes = Counter("accepted" if isinstance(outcome, Accepted) else outcome.code for [outcome] in results)
    assert codes == {"accepted": 1, RejectCode.QUOTE_USED: 19}
    assert Account.objects.get(customer=customer).balance == 10000 - 2 * COST_OF_ONE


# --- a promise of the price, not of being open ----------------------------------------------------------------------


def halt(option):
    TradingStatus.objects.create(
        underlying=option.underlying, state="HALTED", spread_rate="0.02", since=NOW, judged_at=LATER
    )


def test_a_coin_that_is_halted_meanwhile_refuses_the_open_and_takes_the_close(customer, option):
    opened = place_open(customer, option, now=NOW)
    open_quote, close_quote = ask_open(customer, option), ask_close(customer, opened.position_id)
    halt(option)
    assert code_of(one(opening(customer, option, open_quote))) == RejectCode.COIN_HALTED
    assert one(closing(customer, opened.position_id, close_quote)).order.amount == PROCEEDS_OF_ONE


def test_a_close_that_was_partly_made_elsewhere_is_refused(customer, option):
    opened = place_open(customer, option, contracts=2, now=NOW)
    quote = ask_close(customer, opened.position_id)
    one(CloseRequest(customer.pk, unique("c"), position_id=opened.position_id, contracts=1))
    outcome = one(closing(customer, opened.position_id, quote))
    assert code_of(outcome) == RejectCode.POSITION_TOO_SMALL


# --- what is not quoted ---------------------------------------------------------------------------------------------


def test_what_an_order_would_be_refused_for_is_not_quoted(customer, option):
    nobody = make_customer(now=NOW)
    opened = place_open(customer, option, now=NOW)
    stale = NOW + timedelta(seconds=11)
    asked = {
        RejectCode.OPTION_NOT_FOUND: give(request=OpenQuoteRequest(customer.pk, "BTC-NONE", 1), now=NOW),
        RejectCode.POSITION_NOT_FOUND: ask_close(nobody, opened.position_id),
        RejectCode.POSITION_TOO_SMALL: ask_close(customer, opened.position_id, contracts=2),
        RejectCode.QUOTE_STALE: ask_open(customer, option, now=stale),
        RejectCode.ACCOUNT_NOT_FOUND: give(request=OpenQuoteRequest(10**9, option.symbol, 1), now=NOW),
    }
    assert {code: code_of(outcome) for code, outcome in asked.items()} == {code: code for code in asked}
    assert code_of(ask_close(customer, opened.position_id, now=stale)) == RejectCode.QUOTE_STALE
    halt(option)
    assert code_of(ask_open(customer, option)) == RejectCode.COIN_HALTED


def test_a_position_of_another_symbol_is_not_quoted(customer, option):
    opened = place_open(customer, option, now=NOW)
    asked = CloseQuoteRequest(customer.pk, opened.position_id, symbol="BTC-NONE")
    assert code_of(give(request=asked, now=NOW)) == RejectCode.POSITION_NOT_FOUND


def test_live_ones_are_few(transactional_db, settings):
    settings.FIRM_QUOTES_LIVE = 3
    option, customer = make_option(now=NOW), make_customer(now=NOW)
    given = at_once(partial(ask_open, customer, option) for _ in range(8))
    quotes = [quote for quote in given if isinstance(quote, FirmQuote)]
    assert len(quotes) == FirmQuote.objects.count() == 3
    assert code_of(ask_open(customer, option)) == RejectCode.TOO_MANY_QUOTES
    assert isinstance(ask_open(make_customer(now=NOW), option), FirmQuote)
    one(opening(customer, option, quotes[0]))
    assert isinstance(ask_open(customer, option, now=LATER), FirmQuote)  # in the place of the used one
    assert isinstance(ask_open(customer, option, now=NOW + timedelta(seconds=5)), FirmQuote)


def test_live_ones_are_of_little_money(customer, option, settings):
    settings.FIRM_QUOTES_LIVE_USDT = 5 * COST_OF_ONE
    assert isinstance(ask_open(customer, option), FirmQuote)
    assert code_of(ask_open(customer, option, contracts=4)) == RejectCode.TOO_MANY_QUOTES
    assert isinstance(ask_open(customer, option, contracts=3), FirmQuote)


def test_they_are_forgotten_an_hour_later_however_many_there_are(customer, option, monkeypatch):
    monkeypatch.setattr(firm_quotes, "SWEEP_ROWS", 2)
    old = [ask_open(customer, option) for _ in range(5)][-1]
    younger = ask_open(customer, option, now=NOW + timedelta(seconds=1))
    assert sweep(now=old.expires_at + timedelta(hours=1)) == 0
    assert sweep(now=old.expires_at + timedelta(hours=1, microseconds=1)) == 5
    assert list(FirmQuote.objects.values_list("pk", flat=True)) == [younger.pk]
