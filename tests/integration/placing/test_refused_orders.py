"""Orders that are refused on a real database: why, and that nothing of them is stored."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings

from counter.models import Option, Position
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, OpenRequest, RejectCode, Rejected
from counter.pricing import formulas
from tests.support.factories import make_customer, make_option, make_quote
from tests.support.placing import (
    COST_OF_ONE,
    NOW,
    PROCEEDS_OF_ONE,
    assert_nothing_stored,
    assert_rejected,
    balance,
    closing,
    one,
    opening,
)

pytestmark = pytest.mark.django_db


def test_customer_without_an_account_is_refused(option):
    request = OpenRequest(customer_id=10**9, client_order_id="x", symbol=option.symbol, contracts=1)
    assert_rejected(one(request), RejectCode.ACCOUNT_NOT_FOUND)


def test_unknown_option_is_refused(customer):
    request = OpenRequest(customer_id=customer.pk, client_order_id="x", symbol="BTC-1JAN27-1-C", contracts=1)
    assert_rejected(one(request), RejectCode.OPTION_NOT_FOUND)
    assert_nothing_stored()


def test_halted_option_can_be_closed_but_not_opened(customer, option):
    opened = one(opening(customer, option)).order
    Option.objects.filter(pk=option.pk).update(state="HALTED")
    assert_rejected(one(opening(customer, option)), RejectCode.OPTION_HALTED)
    assert isinstance(one(closing(customer, position_id=opened.id)), Accepted)


@pytest.mark.parametrize("state", ["EXPIRED", "SETTLED"])
def test_expired_option_can_be_neither_opened_nor_closed(customer, option, state):
    opened = one(opening(customer, option)).order
    Option.objects.filter(pk=option.pk).update(state=state)
    assert_rejected(one(opening(customer, option)), RejectCode.OPTION_EXPIRED)
    assert_rejected(one(closing(customer, position_id=opened.id)), RejectCode.OPTION_EXPIRED)


def test_option_expires_at_its_moment_even_if_nobody_marks_it(customer, option):
    make_quote(option, now=option.expires_at)
    assert_rejected(one(opening(customer, option), now=option.expires_at), RejectCode.OPTION_EXPIRED)
    moment = timedelta(microseconds=1)
    opens_end_at = option.expires_at - timedelta(minutes=1)
    assert_rejected(one(opening(customer, option), now=option.expires_at - moment), RejectCode.OPENS_ENDED)
    assert_rejected(one(opening(customer, option), now=opens_end_at), RejectCode.OPENS_ENDED)
    make_quote(option, now=opens_end_at - moment)
    opened = one(opening(customer, option), now=opens_end_at - moment).order
    make_quote(option, now=option.expires_at - moment)
    close = closing(customer, position_id=opened.id)
    assert isinstance(one(close, now=option.expires_at - moment), Accepted)


@pytest.mark.parametrize("price", [None, "0"])
def test_side_without_a_price_is_refused(customer, option, price):
    opened = one(opening(customer, option)).order
    make_quote(option, bid=price, ask=price, now=NOW)
    assert_rejected(one(opening(customer, option)), RejectCode.QUOTE_MISSING)
    assert_rejected(one(closing(customer, position_id=opened.id)), RejectCode.QUOTE_MISSING)


def test_option_that_was_never_quoted_is_refused(customer, option):
    option.quote.delete()
    assert_rejected(one(opening(customer, option)), RejectCode.QUOTE_MISSING)


def test_quote_is_refused_once_it_is_older_than_its_limit(customer, option):
    limit = timedelta(seconds=settings.QUOTE_STALE_AFTER_SECONDS)
    assert isinstance(one(opening(customer, option), now=NOW + limit), Accepted)
    outcome = one(opening(customer, option), now=NOW + limit + timedelta(microseconds=1))
    assert_rejected(outcome, RejectCode.QUOTE_STALE)


def test_cost_limit_holds_to_the_last_digit(customer, option):
    below = COST_OF_ONE - formulas.USDT_UNIT
    assert_rejected(one(opening(customer, option, max_cost=below)), RejectCode.PRICE_MOVED)
    assert_nothing_stored()
    assert isinstance(one(opening(customer, option, max_cost=COST_OF_ONE)), Accepted)


def test_proceeds_limit_holds_to_the_last_digit(customer, option):
    opened = one(opening(customer, option)).order
    above = PROCEEDS_OF_ONE + formulas.USDT_UNIT
    refused = one(closing(customer, position_id=opened.id, min_proceeds=above))
    assert_rejected(refused, RejectCode.PRICE_MOVED)
    assert Position.objects.get(pk=opened.id).remaining == 1
    accepted = one(closing(customer, position_id=opened.id, min_proceeds=PROCEEDS_OF_ONE))
    assert isinstance(accepted, Accepted)


def test_balance_has_to_cover_the_cost_to_the_last_digit(option):
    poor = make_customer(balance=COST_OF_ONE - formulas.USDT_UNIT, now=NOW)
    exact = make_customer(balance=COST_OF_ONE, now=NOW)
    assert_rejected(one(opening(poor, option)), RejectCode.INSUFFICIENT_BALANCE)
    assert isinstance(one(opening(exact, option)), Accepted)
    assert balance(exact) == 0
    assert_rejected(one(opening(exact, option)), RejectCode.INSUFFICIENT_BALANCE)


def test_worthless_order_is_refused(customer, option):
    make_quote(option, bid="0.000001", ask="0.000001", index=Decimal("0.00000001"), now=NOW)
    assert_rejected(one(opening(customer, option)), RejectCode.AMOUNT_TOO_SMALL)


def test_worthless_close_is_refused(customer, option):
    opened = one(opening(customer, option)).order
    make_quote(option, bid="0.000001", ask="0.000001", index=Decimal("0.00000001"), now=NOW)
    assert_rejected(one(closing(customer, position_id=opened.id)), RejectCode.AMOUNT_TOO_SMALL)


def test_order_of_astronomic_value_is_refused_and_the_others_of_its_batch_are_not(customer, option):
    dear = make_option(strike=95_000, ask="999999.000000", index=Decimal("999999999999"), now=NOW)
    outcomes = place_orders(
        requests=[opening(customer, dear, contracts=1_000_000), opening(customer, option)], now=NOW
    )
    assert isinstance(outcomes[0], Rejected)
    assert isinstance(outcomes[1], Accepted)


def test_close_at_fill_of_astronomic_value_is_refused_and_the_others_of_its_batch_are_not(customer, option):
    dear = make_option(strike=95_000, now=NOW)
    opened = one(opening(customer, dear, contracts=10)).order
    make_quote(dear, bid="999999.000000", index=Decimal("999999999999"), now=NOW)
    outcomes = place_orders(
        requests=[closing(customer, position_id=opened.id, payout="at_fill"), opening(customer, option)],
        now=NOW,
    )
    assert_rejected(outcomes[0], RejectCode.AMOUNT_TOO_LARGE)
    assert isinstance(outcomes[1], Accepted)


def test_position_of_somebody_else_or_of_nobody_is_not_found(customer, option):
    other = make_customer(now=NOW)
    theirs = one(opening(other, option, client_order_id="theirs")).order
    for request in (
        closing(customer, position_id=theirs.id),
        closing(customer, position_id=10**12),
        closing(customer, opened_by="theirs"),
        closing(customer, opened_by="nothing"),
    ):
        assert_rejected(one(request), RejectCode.POSITION_NOT_FOUND)
    assert Position.objects.get(pk=theirs.id).remaining == 1


def test_close_does_not_open_a_position_of_its_own(customer, option):
    opened = one(opening(customer, option, contracts=2)).order
    closed = one(closing(customer, position_id=opened.id, contracts=1)).order
    for request in (
        closing(customer, position_id=closed.id),
        closing(customer, opened_by=closed.client_order_id),
    ):
        assert_rejected(one(request), RejectCode.POSITION_NOT_FOUND)


def test_no_more_can_be_closed_than_is_left(customer, option):
    opened = one(opening(customer, option, contracts=3)).order
    assert_rejected(one(closing(customer, position_id=opened.id, contracts=4)), RejectCode.POSITION_TOO_SMALL)
    one(closing(customer, position_id=opened.id))
    assert_rejected(one(closing(customer, position_id=opened.id)), RejectCode.POSITION_TOO_SMALL)
    assert_rejected(one(closing(customer, position_id=opened.id, contracts=1)), RejectCode.POSITION_TOO_SMALL)
