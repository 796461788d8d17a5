"""Placing orders on a real database: what is refused and why, what is stored, and that nothing happens twice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.conf import settings

from config.pipeline import ask
from counter import pricing
from counter.chart import SystemAccount
from counter.contracts import SettlementReport
from counter.models import Account, Option, Position, SyncOrder, Transfer
from counter.ordering import order_sql
from counter.ordering.order_requests import Accepted, CloseRequest, OpenRequest, RejectCode, Rejected
from counter.ordering.orders import BatchTooLarge, place_orders
from counter.ordering.settlements import take_reports
from ledger.posting import balances, trial_balance
from tests.support.factories import make_customer, make_option, make_quote, place, unique

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
COST_OF_ONE = Decimal("22.612500")  # 0.01 BTC x 0.025 x 90,000 USDT, and half a percent
PROCEEDS_OF_ONE = Decimal("17.910000")  # 0.01 BTC x 0.020 x 90,000 USDT, less half a percent


@pytest.fixture
def option():
    return make_option(now=NOW)


@pytest.fixture
def customer():
    return make_customer(balance="1000", now=NOW)


def one(request, *, now=NOW):
    [outcome] = place_orders(requests=[request], now=now)
    return outcome


def opening(customer, option, **changes):
    fields = {"client_order_id": unique("o"), "symbol": option.symbol, "contracts": 1} | changes
    return OpenRequest(customer_id=customer.pk, **fields)


def closing(customer, **fields):
    return CloseRequest(customer_id=customer.pk, **{"client_order_id": unique("c")} | fields)


def balance(customer):
    return Account.objects.get(customer=customer).balance


def assert_rejected(outcome, code):
    assert isinstance(outcome, Rejected), outcome
    assert outcome.code == code
    assert outcome.message


def assert_nothing_stored():
    assert not SyncOrder.objects.exists()
    assert not Position.objects.exists()
    assert not Transfer.objects.exclude(kind="deposit").exists()


# --- what is stored -------------------------------------------------------------------------------------------------


def test_open_debits_the_cost_and_stores_order_position_and_both_legs(customer, option):
    order = one(opening(customer, option, contracts=3, max_cost=Decimal(100))).order

    assert order.amount == 3 * COST_OF_ONE
    assert balance(customer) == 1000 - 3 * COST_OF_ONE
    stored = SyncOrder.objects.get(pk=order.id)
    assert (stored.kind, stored.state, stored.contracts, stored.limit) == ("OPEN", "PENDING", 3, Decimal(100))
    assert (stored.coin, stored.fair, stored.spread) == (
        Decimal("0.00075"),
        Decimal("67.5"),
        Decimal("0.3375"),
    )
    position = Position.objects.get(pk=order.id)
    assert (position.contracts, position.remaining, position.cost) == (3, 3, order.amount)
    assert (position.state, position.opened_at, position.closed_at) == ("OPEN", NOW, None)
    account = Account.objects.get(customer=customer)
    legs = Transfer.objects.filter(order_id=order.id).order_by("pk")
    assert [(leg.kind, leg.debit_account_id, leg.credit_account_id, leg.amount) for leg in legs] == [
        ("open", account.pk, SystemAccount.CLEARING, order.fair),
        ("spread", account.pk, SystemAccount.SPREAD, order.spread),
    ]
    assert [leg.balance_after for leg in legs] == [1000 - order.fair, 1000 - order.amount]


def test_close_credits_the_proceeds_and_finishes_the_position(customer, option):
    opened = one(opening(customer, option, contracts=2)).order
    before = balance(customer)

    order = one(closing(customer, position_id=opened.position_id)).order

    assert (order.kind, order.contracts, order.amount) == ("CLOSE", 2, 2 * PROCEEDS_OF_ONE)
    assert balance(customer) == before + 2 * PROCEEDS_OF_ONE
    position = Position.objects.get(pk=opened.id)
    assert (position.remaining, position.state, position.closed_at) == (0, "CLOSED", NOW)
    assert position.proceeds == order.amount
    credit = Transfer.objects.get(order_id=order.id, kind="close")
    assert credit.balance_after == balance(customer)
    spread = Transfer.objects.get(order_id=order.id, kind="spread")
    assert (spread.debit_account_id, spread.credit_account_id) == (
        SystemAccount.CLEARING,
        SystemAccount.SPREAD,
    )
    assert spread.amount == order.fair - order.amount


def test_partial_closes_leave_the_rest_open(customer, option):
    opened = one(opening(customer, option, contracts=5)).order
    one(closing(customer, position_id=opened.id, contracts=2))
    position = Position.objects.get(pk=opened.id)
    assert (position.remaining, position.state, position.closed_at) == (3, "OPEN", None)

    one(closing(customer, opened_by=opened.client_order_id))
    position.refresh_from_db()
    assert (position.remaining, position.state) == (0, "CLOSED")
    assert position.proceeds == 5 * PROCEEDS_OF_ONE


def test_the_book_balances_and_stored_balances_equal_their_transfers(customer, option):
    other = make_customer(balance="500", now=NOW)
    first = one(opening(customer, option, contracts=7)).order
    one(opening(other, option, contracts=3))
    one(closing(customer, position_id=first.id, contracts=4))
    one(closing(customer, position_id=first.id, payout="at_fill"))

    assert all(asset.total == 0 for asset in trial_balance(Account, Transfer))
    summed = {account_id: amount for account_id, _, _, amount in balances(Account, Transfer)}
    for account in Account.objects.filter(customer__isnull=False):
        assert summed[account.pk] == account.balance


# --- at fill --------------------------------------------------------------------------------------------------------


def test_close_at_fill_pays_nothing_yet_and_takes_no_spread(customer, option):
    opened = one(opening(customer, option, contracts=2)).order
    before = balance(customer)

    order = one(closing(customer, position_id=opened.id, payout="at_fill")).order

    assert (order.amount, order.spread, order.payout) == (0, 0, "at_fill")
    assert order.fair == Decimal(36)
    assert balance(customer) == before
    assert not Transfer.objects.filter(order_id=order.id).exists()
    position = Position.objects.get(pk=opened.id)
    assert (position.remaining, position.unpaid, position.state) == (0, 1, "CLOSING")


def test_position_stays_closing_until_every_close_at_fill_is_paid(customer, option):
    opened = one(opening(customer, option, contracts=3)).order
    first = one(closing(customer, position_id=opened.id, contracts=1, payout="at_fill")).order
    one(closing(customer, position_id=opened.id, contracts=1))
    second = one(closing(customer, position_id=opened.id, payout="at_fill")).order
    position = Position.objects.get(pk=opened.id)
    assert (position.state, position.unpaid) == ("CLOSING", 2)

    for order, state in ((first, "CLOSING"), (second, "CLOSED")):
        take_reports(reports=[paid(order, "17.5")], now=NOW)
        position.refresh_from_db()
        assert position.state == state
    assert position.proceeds == PROCEEDS_OF_ONE + 35


def test_close_at_fill_opened_in_the_same_batch_is_closing(customer, option):
    request = opening(customer, option)
    outcomes = place_orders(
        requests=[request, closing(customer, opened_by=request.client_order_id, payout="at_fill")], now=NOW
    )
    assert Position.objects.get(pk=outcomes[0].order.id).state == "CLOSING"


def paid(order, due):
    return SettlementReport(
        order_id=order.id,
        conversion_id=1,
        price=order.index_price,
        value=Decimal(due),
        fee=Decimal(0),
        due=Decimal(due),
        settled_at=NOW,
    )


# --- what is refused ------------------------------------------------------------------------------------------------


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
    just_before = option.expires_at - timedelta(microseconds=1)
    assert isinstance(one(opening(customer, option), now=just_before), Accepted)


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
    below = COST_OF_ONE - pricing.USDT_UNIT
    assert_rejected(one(opening(customer, option, max_cost=below)), RejectCode.PRICE_MOVED)
    assert_nothing_stored()
    assert isinstance(one(opening(customer, option, max_cost=COST_OF_ONE)), Accepted)


def test_proceeds_limit_holds_to_the_last_digit(customer, option):
    opened = one(opening(customer, option)).order
    above = PROCEEDS_OF_ONE + pricing.USDT_UNIT
    refused = one(closing(customer, position_id=opened.id, min_proceeds=above))
    assert_rejected(refused, RejectCode.PRICE_MOVED)
    assert Position.objects.get(pk=opened.id).remaining == 1
    accepted = one(closing(customer, position_id=opened.id, min_proceeds=PROCEEDS_OF_ONE))
    assert isinstance(accepted, Accepted)


def test_balance_has_to_cover_the_cost_to_the_last_digit(option):
    poor = make_customer(balance=COST_OF_ONE - pricing.USDT_UNIT, now=NOW)
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


# --- the same id again ----------------------------------------------------------------------------------------------


def test_same_open_again_is_the_same_order(customer, option):
    request = opening(customer, option, max_cost=Decimal(30))
    first = one(request)
    make_quote(option, ask="0.5", now=NOW)  # the price at which it was accepted stays
    again = one(request, now=NOW + timedelta(hours=1))
    assert again == Accepted(first.order, replayed=True)
    assert SyncOrder.objects.count() == 1
    assert balance(customer) == 1000 - COST_OF_ONE


@pytest.mark.parametrize("contracts", [None, 2])
def test_same_close_again_is_the_same_order(customer, option, contracts):
    opened = one(opening(customer, option, contracts=2)).order
    request = closing(customer, opened_by=opened.client_order_id, contracts=contracts)
    first = one(request)
    assert one(request) == Accepted(first.order, replayed=True)
    assert SyncOrder.objects.filter(kind="CLOSE").count() == 1


def test_same_request_twice_in_one_batch_is_one_order(customer, option):
    request = opening(customer, option)
    first, second = place_orders(requests=[request, request], now=NOW)
    assert second == Accepted(first.order, replayed=True)
    assert balance(customer) == 1000 - COST_OF_ONE


@pytest.mark.parametrize(
    "change", [{"contracts": 2}, {"max_cost": Decimal(30)}, {"symbol": "BTC-1JAN27-1-C"}]
)
def test_same_id_with_other_content_is_refused(customer, option, change):
    one(opening(customer, option, client_order_id="mine"))
    other = opening(customer, option, client_order_id="mine", **change)
    assert_rejected(one(other), RejectCode.CLIENT_ORDER_ID_REUSED)
    assert balance(customer) == 1000 - COST_OF_ONE


@pytest.mark.parametrize(
    "change", [{"contracts": 1}, {"min_proceeds": Decimal(1)}, {"payout": "at_fill"}, {"position_id": 10**12}]
)
def test_same_close_id_with_other_content_is_refused(customer, option, change):
    opened = one(opening(customer, option, contracts=2)).order
    one(closing(customer, client_order_id="mine", position_id=opened.id))
    other = closing(customer, **{"client_order_id": "mine", "position_id": opened.id} | change)
    assert_rejected(one(other), RejectCode.CLIENT_ORDER_ID_REUSED)


def test_id_of_an_open_cannot_be_used_by_a_close_nor_the_reverse(customer, option):
    opened = one(opening(customer, option, contracts=2, client_order_id="a")).order
    one(closing(customer, position_id=opened.id, contracts=1, client_order_id="b"))
    assert_rejected(
        one(closing(customer, position_id=opened.id, client_order_id="a")), RejectCode.CLIENT_ORDER_ID_REUSED
    )
    assert_rejected(one(opening(customer, option, client_order_id="b")), RejectCode.CLIENT_ORDER_ID_REUSED)


def test_ids_are_each_customers_own(customer, option):
    other = make_customer(now=NOW)
    first, second = place(
        opening(customer, option, client_order_id="1"), opening(other, option, client_order_id="1"), now=NOW
    )
    assert first.id != second.id


def test_id_of_a_refused_order_may_be_used_again(customer, option):
    request = opening(customer, option, max_cost=Decimal(1), client_order_id="again")
    assert_rejected(one(request), RejectCode.PRICE_MOVED)
    assert isinstance(one(opening(customer, option, client_order_id="again")), Accepted)


# --- batches --------------------------------------------------------------------------------------------------------


def test_a_batch_has_as_many_orders_accepted_in_order_as_the_balance_allows(option):
    customer = make_customer(balance=3 * COST_OF_ONE, now=NOW)
    requests = [opening(customer, option, contracts=count) for count in (1, 3, 1, 1, 1)]
    outcomes = place_orders(requests=requests, now=NOW)
    assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True, False, True, True, False]
    assert balance(customer) == 0


def test_what_a_close_pays_can_be_spent_later_in_the_same_batch(option):
    customer = make_customer(balance=COST_OF_ONE, now=NOW)
    first = opening(customer, option)
    cheap = make_option(strike=100_000, bid="0.001", ask="0.002", now=NOW)
    outcomes = place_orders(
        requests=[
            first,
            opening(customer, cheap),
            closing(customer, opened_by=first.client_order_id),
            opening(customer, cheap),
        ],
        now=NOW,
    )
    assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True, False, True, True]
    position = Position.objects.get(pk=outcomes[0].order.id)
    assert (position.state, position.remaining, position.proceeds) == ("CLOSED", 0, PROCEEDS_OF_ONE)


def test_batches_are_limited_and_may_be_empty(customer, option, settings):
    settings.MAX_BATCH_ORDERS = 2
    assert place_orders(requests=[], now=NOW) == []
    with pytest.raises(BatchTooLarge):
        place_orders(requests=[opening(customer, option) for _ in range(3)], now=NOW)
    assert_nothing_stored()


def test_number_of_statements_does_not_grow_with_the_batch(customer, option, monkeypatch):
    counts = []

    def counted(using, *asked):
        counts.append(len(asked))
        return ask(using, *asked)

    monkeypatch.setattr(order_sql, "ask", counted)
    for size in (1, 2, 40):
        place_orders(requests=[opening(make_customer(now=NOW), option) for _ in range(size)], now=NOW)
    assert counts == [4, 1] * 3  # reads, then writes
