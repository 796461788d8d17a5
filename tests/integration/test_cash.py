"""Money in and out: each reference begins once and ends once, also sent by several at the same moment."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from threading import Event

import pytest
from django.db import connection, transaction

from counter.models import Account, CashMovement, Customer, Transfer, Withdrawal
from counter.money import accounts, cash, withdrawals
from counter.money.cash import AccountError, InsufficientBalance, ReferenceReused
from counter.money.chart import SystemAccount
from ledger.posting import balances
from tests.support.factories import make_customer
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
THREADS = 20


def outcome_of(action):
    """What an operation answered, or the name of its refusal."""
    try:
        return action()
    except AccountError as error:
        return type(error).__name__


def reserve(customer, amount, reference):
    return partial(
        withdrawals.reserve, customer_id=customer.pk, amount=Decimal(amount), reference=reference, now=NOW
    )


def balance(account):
    return {account_id: held for account_id, _, _, held in balances(Account, Transfer)}[account]


def test_the_same_withdrawal_from_many_threads_is_reserved_once():
    customer = make_customer(balance="100", now=NOW)
    results = at_once(reserve(customer, "30", "w-1") for _ in range(THREADS))
    assert Counter(is_new for _, is_new in results) == {True: 1, False: THREADS - 1}
    assert {withdrawal.pk for withdrawal, _ in results} == {Withdrawal.objects.get().pk}
    assert Account.objects.get(customer=customer).balance == 70
    assert balance(SystemAccount.WITHDRAWALS) == 30


def test_of_two_withdrawals_of_the_whole_balance_at_once_one_is_refused():
    customer = make_customer(balance="100", now=NOW)
    actions = [partial(outcome_of, reserve(customer, "100", f"w-{number}")) for number in range(2)]
    results = at_once(actions)
    assert Counter(isinstance(result, str) for result in results) == {True: 1, False: 1}
    assert "InsufficientBalance" in results
    assert Account.objects.get(customer=customer).balance == 0
    assert Withdrawal.objects.count() == CashMovement.objects.filter(kind="RESERVATION").count() == 1


def test_of_confirmations_and_releases_at_once_one_kind_wins():
    customer = make_customer(balance="100", now=NOW)
    reserve(customer, "40", "w-1")()
    ends = [
        partial(outcome_of, partial(end, reference="w-1", now=NOW))
        for end in (withdrawals.confirm, withdrawals.release) * 5
    ]
    results = at_once(ends)
    refused = {result for result in results if isinstance(result, str)}
    assert len(refused) == 1
    assert sum(isinstance(result, str) for result in results) == 5
    is_confirmed = refused == {"AlreadyConfirmed"}
    assert Withdrawal.objects.get().state == ("CONFIRMED" if is_confirmed else "RELEASED")
    assert CashMovement.objects.filter(kind__in=CashMovement.ENDS).count() == 1
    assert Account.objects.get(customer=customer).balance == (60 if is_confirmed else 100)
    assert balance(SystemAccount.WITHDRAWALS) == 0
    assert balance(SystemAccount.EXTERNAL) == (60 if is_confirmed else 100)


def test_one_reference_for_two_customers_at_once_is_the_firsts():
    one, other = make_customer(balance="100", now=NOW), make_customer(balance="100", now=NOW)
    actions = [
        *(partial(outcome_of, reserve(customer, "10", "same")) for customer in (one, other)),
        partial(
            outcome_of,
            partial(accounts.deposit, customer_id=one.pk, amount=Decimal(10), reference="same", now=NOW),
        ),
    ]
    results = at_once(actions)
    assert sum(isinstance(result, tuple) for result in results) == 1
    assert results.count("ReferenceReused") == 2
    assert CashMovement.objects.filter(reference="same").count() == 1


def test_a_deposit_from_many_threads_is_credited_once():
    customer = make_customer(balance="0", now=NOW)
    deposit = partial(
        accounts.deposit, customer_id=customer.pk, amount=Decimal("5.000001"), reference="d-1", now=NOW
    )
    results = at_once(deposit for _ in range(THREADS))
    assert Counter(is_new for _, is_new in results) == {True: 1, False: THREADS - 1}
    assert Account.objects.get(customer=customer).balance == Decimal("5.000001")


def test_a_customer_opened_from_many_threads_is_one():
    opened = at_once(
        partial(accounts.open_customer, reference="alice", password=None, now=NOW) for _ in range(8)
    )
    assert {customer.pk for customer in opened} == {Customer.objects.get().pk}


def test_the_name_of_a_user_who_is_no_customer_is_taken(django_user_model):
    django_user_model.objects.create_user(username="operator")
    with pytest.raises(ReferenceReused):
        accounts.open_customer(reference="operator", password=None, now=NOW)


def test_a_refused_withdrawal_leaves_its_reference_free():
    customer = make_customer(balance="100", now=NOW)
    with pytest.raises(InsufficientBalance):
        reserve(customer, "100.000001", "w-1")()
    assert not CashMovement.objects.filter(reference="w-1").exists()
    assert reserve(customer, "100", "w-1")()[1] is True


def test_movements_are_told_in_the_order_of_their_commits():
    """A page waits for what has an id already and is not committed; who asks after its last misses nothing."""
    first, second = make_customer(balance="0", now=NOW), make_customer(balance="0", now=NOW)
    written, asked = Event(), Event()

    def slow_deposit():
        with transaction.atomic():
            accounts.deposit(customer_id=first.pk, amount=Decimal(1), reference="slow", now=NOW)
            written.set()
            assert asked.wait(10)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.3)")

    def fast_deposit_then_list():
        assert written.wait(10)
        accounts.deposit(customer_id=second.pk, amount=Decimal(1), reference="fast", now=NOW)
        asked.set()
        return [movement.reference for movement in cash.movements(after_id=0, limit=10)]

    _, told = at_once([slow_deposit, fast_deposit_then_list])
    assert told == ["slow", "fast"]
