"""Real threads on real connections try to spend the same money and close the same contracts at the same moment."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest

from counter.models import Account, Position, SyncOrder, Transfer
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, CloseRequest, OpenRequest, RejectCode
from ledger.posting import balances, trial_balance
from tests.support.factories import make_customer, make_option, place_open
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
COST_OF_ONE = Decimal("22.612500")
PROCEEDS_OF_ONE = Decimal("17.910000")
THREADS = 8


def place_one_by_one(requests):
    """One transaction for each order, as many web requests would."""
    return [outcome for request in requests for outcome in place_orders(requests=[request], now=NOW)]


def assert_books_agree():
    assert all(asset.total == 0 for asset in trial_balance(Account, Transfer))
    summed = {account_id: amount for account_id, _, _, amount in balances(Account, Transfer)}
    accounts = list(Account.objects.filter(customer__isnull=False))
    assert accounts
    for account in accounts:
        assert summed[account.pk] == account.balance
        newest = Transfer.objects.filter(debit_account=account) | Transfer.objects.filter(
            credit_account=account
        )
        assert newest.latest("pk").balance_after == account.balance


def codes(outcomes):
    return Counter("accepted" if isinstance(one, Accepted) else one.code for one in outcomes)


def test_threads_spend_a_balance_exactly_once():
    option = make_option(now=NOW)
    customer = make_customer(balance=20 * COST_OF_ONE, now=NOW)
    plans = [
        [
            OpenRequest(
                customer_id=customer.pk, client_order_id=f"{thread}-{turn}", symbol=option.symbol, contracts=1
            )
            for turn in range(6)
        ]
        for thread in range(THREADS)
    ]

    results = at_once(partial(place_one_by_one, plan) for plan in plans)

    outcomes = [outcome for result in results for outcome in result]
    assert codes(outcomes) == {"accepted": 20, RejectCode.INSUFFICIENT_BALANCE: 28}
    assert Account.objects.get(customer=customer).balance == 0
    assert SyncOrder.objects.count() == Position.objects.count() == 20
    assert_books_agree()


def test_batches_that_share_customers_in_every_order_neither_overdraw_nor_deadlock():
    option = make_option(now=NOW)
    customers = [make_customer(balance=5 * COST_OF_ONE, now=NOW) for _ in range(6)]
    plans = []
    for thread in range(THREADS):
        turned = customers[thread % 6 :] + customers[: thread % 6]
        turned = turned if thread % 2 else turned[::-1]
        plans.append(
            [
                OpenRequest(
                    customer_id=customer.pk,
                    client_order_id=f"{thread}-{i}",
                    symbol=option.symbol,
                    contracts=1,
                )
                for i in range(3)
                for customer in turned
            ]
        )

    results = at_once(partial(place_orders, requests=plan, now=NOW) for plan in plans)

    outcomes = [outcome for result in results for outcome in result]
    assert codes(outcomes) == {"accepted": 30, RejectCode.INSUFFICIENT_BALANCE: THREADS * 18 - 30}
    assert {account.balance for account in Account.objects.filter(customer__isnull=False)} == {0}
    assert_books_agree()


def test_the_same_request_from_many_threads_is_one_order():
    option = make_option(now=NOW)
    customer = make_customer(balance=100 * COST_OF_ONE, now=NOW)
    request = OpenRequest(customer_id=customer.pk, client_order_id="same", symbol=option.symbol, contracts=2)

    results = at_once(partial(place_orders, requests=[request], now=NOW) for _ in range(THREADS))

    outcomes = [outcome for [outcome] in results]
    assert {outcome.order.id for outcome in outcomes} == {outcomes[0].order.id}
    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * (THREADS - 1)
    assert Account.objects.get(customer=customer).balance == 98 * COST_OF_ONE
    assert_books_agree()


def test_threads_close_a_position_exactly_once():
    option = make_option(now=NOW)
    customer = make_customer(balance=10 * COST_OF_ONE, now=NOW)
    opened = place_open(customer, option, contracts=10, now=NOW)
    plans = [
        [
            CloseRequest(
                customer_id=customer.pk,
                client_order_id=f"{thread}-{turn}",
                position_id=opened.id,
                contracts=1,
            )
            for turn in range(3)
        ]
        for thread in range(THREADS)
    ]

    results = at_once(partial(place_one_by_one, plan) for plan in plans)

    outcomes = [outcome for result in results for outcome in result]
    assert codes(outcomes) == {"accepted": 10, RejectCode.POSITION_TOO_SMALL: 14}
    position = Position.objects.get(pk=opened.id)
    assert (position.remaining, position.state) == (0, "CLOSED")
    assert position.proceeds == Account.objects.get(customer=customer).balance == 10 * PROCEEDS_OF_ONE
    assert_books_agree()
