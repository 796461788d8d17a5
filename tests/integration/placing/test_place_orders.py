"""Placing orders on a real database: what is stored, and that nothing happens twice."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from counter.contracts import SettlementReport
from counter.models import Account, Position, SyncOrder, Transfer
from counter.money.chart import SystemAccount
from counter.orders import sql as order_sql
from counter.orders import writing
from counter.orders.placing import BatchTooLarge, place_orders
from counter.orders.requests import Accepted, RejectCode
from counter.orders.settlements import take_reports
from infra.db.pipeline import ask
from ledger.posting import balances, trial_balance
from tests.support.factories import make_customer, make_option, make_quote, place
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


@pytest.mark.parametrize("payout", ["instant", "at_fill"])
def test_nothing_is_paid_for_a_position_that_cannot_end(customer, option, payout):
    """Something else has ended it and left contracts behind: they would be there to be sold again."""
    order = one(opening(customer, option, contracts=2)).order
    had = balance(customer)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE counter_position SET state = 'EXPIRED' WHERE id = %s", [order.id])
    with pytest.raises(RuntimeError, match="1 positions and firm quotes to move, 0 moved"):
        one(closing(customer, position_id=order.id, payout=payout))
    assert balance(customer) == had
    assert SyncOrder.objects.get().pk == order.id


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

    for module in (order_sql, writing):
        monkeypatch.setattr(module, "ask", counted)
    for size in (1, 2, 40):
        place_orders(requests=[opening(make_customer(now=NOW), option) for _ in range(size)], now=NOW)
    assert counts == [4, 1] * 3  # reads, then writes
