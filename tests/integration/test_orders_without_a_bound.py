"""Orders that name no bound: the price that was last seen bounds them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from counter.market.quotes import NewQuote, update_quotes
from counter.orders.requests import Accepted, RejectCode, Rejected
from tests.support.factories import make_customer, make_option, make_quote
from tests.support.placing import NOW, assert_rejected, closing, one, opening

pytestmark = pytest.mark.django_db


@pytest.fixture
def option():
    return make_option(now=NOW)


@pytest.fixture
def customer():
    return make_customer(balance="1000", now=NOW)


def quoted(option, *, ask, bid, now):
    update_quotes(
        quotes=[
            NewQuote(
                symbol=option.symbol,
                bid=Decimal(bid),
                ask=Decimal(ask),
                mark=Decimal(ask),
                implied_volatility=Decimal("0.5"),
                index_price=Decimal(90_000),
            )
        ],
        now=now,
    )


def seen_for(option, seconds):
    """A calm quote each second, and then one that has moved: it costs, and brings, 6 % more, or less."""
    for second in range(seconds):
        quoted(option, ask="0.025", bid="0.02", now=NOW + timedelta(seconds=second + 1))
    return NOW + timedelta(seconds=seconds + 1)


@pytest.mark.parametrize(
    ("changes", "bounded"),
    [
        ({}, True),
        ({"max_cost": Decimal("23.970000")}, False),
        ({"max_cost": Decimal("23.969249")}, True),
    ],
)
def test_an_open_without_a_bound_costs_no_more_than_five_percent_above_what_was_seen(
    customer, option, changes, bounded
):
    now = seen_for(option, 8)
    quoted(option, ask="0.026250", bid="0.02", now=now)
    assert isinstance(one(opening(customer, option), now=now), Accepted), "five percent exactly"
    now += timedelta(seconds=1)
    quoted(option, ask="0.026500", bid="0.02", now=now)
    outcome = one(opening(customer, option, **changes), now=now)
    assert isinstance(outcome, Rejected) is bounded
    if bounded:
        assert_rejected(outcome, RejectCode.PRICE_MOVED)


@pytest.mark.parametrize("payout", ["instant", "at_fill"])
def test_a_close_without_a_bound_brings_no_less_than_five_percent_below_what_was_seen(
    customer, option, payout
):
    opened = one(opening(customer, option, contracts=3)).order
    now = seen_for(option, 8)
    quoted(option, ask="0.025", bid="0.018999", now=now)
    close = closing(customer, position_id=opened.id, contracts=1, payout=payout)
    assert_rejected(one(close, now=now), RejectCode.PRICE_MOVED)
    bound = closing(customer, position_id=opened.id, contracts=1, payout=payout, min_proceeds=Decimal(1))
    assert isinstance(one(bound, now=now), Accepted)
    quoted(option, ask="0.025", bid="0.019", now=now + timedelta(seconds=1))
    assert isinstance(one(close, now=now + timedelta(seconds=1)), Accepted)


@pytest.mark.parametrize(("after", "bounded"), [(1, True), (3, True), (6, False)])
def test_what_was_seen_is_that_of_the_last_three_to_six_seconds(customer, option, after, bounded):
    moved_at = seen_for(option, 8)
    for second in range(after + 1):
        now = moved_at + timedelta(seconds=second)
        quoted(option, ask="0.030", bid="0.02", now=now)
    outcome = one(opening(customer, option), now=now)
    assert isinstance(outcome, Rejected) is bounded


def test_a_price_that_stood_until_the_feed_came_back_is_what_was_seen(customer, option):
    now = seen_for(option, 8) + timedelta(minutes=5)
    quoted(option, ask="0.030", bid="0.02", now=now)
    assert_rejected(one(opening(customer, option), now=now), RejectCode.PRICE_MOVED)


def test_a_quote_that_another_program_wrote_bounds_nothing(customer, option):
    """One of the release before, while both run: it knows nothing of what was seen."""
    now = seen_for(option, 8) + timedelta(seconds=10)
    make_quote(option, ask="0.050", now=now)
    assert isinstance(one(opening(customer, option), now=now), Accepted)


def test_min_proceeds_of_a_close_at_fill_is_the_least_that_it_may_bring(customer, option):
    opened = one(opening(customer, option, contracts=2)).order
    # A contract is worth 18 USDT at the bid, and two percent less may be paid.
    close = {"position_id": opened.id, "contracts": 1, "payout": "at_fill"}
    refused = one(closing(customer, min_proceeds=Decimal("17.640001"), **close))
    assert_rejected(refused, RejectCode.PRICE_MOVED)
    assert isinstance(one(closing(customer, min_proceeds=Decimal("17.640000"), **close)), Accepted)
