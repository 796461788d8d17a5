"""Invariants 2, 7, 8 and 9 of money in and out: what is not booked as it was moved is found."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.utils import timezone

import audit
from counter.money import accounts, withdrawals
from tests.support.tampering import broken, tampered


@pytest.fixture
def moved(past):
    """Three withdrawals: reserved, confirmed, released."""
    now = timezone.now()
    for reference in ("waits", "paid", "back"):
        withdrawals.reserve(customer_id=past.customer.pk, amount=Decimal(5), reference=reference, now=now)
    withdrawals.confirm(reference="paid", now=now)
    withdrawals.release(reference="back", now=now)
    accounts.deposit(customer_id=past.customer.pk, amount=Decimal(5), reference="in", now=now)
    return past


def test_money_in_and_out_that_is_in_order_is_clean_and_waits_are_listed(moved, check):
    report = check()
    assert broken(report) == {}
    assert [finding.where for finding in report.result(8).in_flight.listed] == ["withdrawal waits"]


def test_a_reservation_that_nobody_ends_is_broken_once_it_is_too_old(moved, venue):
    later = timedelta(seconds=settings.WITHDRAWAL_OVERDUE_AFTER_SECONDS + 1)
    report = audit.run(now=timezone.now() + later, venue=venue)
    assert broken(report)[8] == {("nobody takes care of it", "withdrawal waits")}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE counter_withdrawal SET state = 'CONFIRMED' WHERE reference = 'waits'", {2, 7}),
        ("UPDATE counter_withdrawal SET amount = amount + 1 WHERE reference = 'waits'", {2, 7}),
        ("UPDATE counter_withdrawal SET state = 'RELEASED' WHERE reference = 'paid'", {7}),
        ("UPDATE counter_withdrawal SET released_at = confirmed_at WHERE reference = 'paid'", {7}),
        ("DELETE FROM counter_withdrawal WHERE reference = 'back'", {7}),
    ],
)
def test_a_withdrawal_that_is_not_what_its_movements_say_is_found(moved, check, change, found):
    with tampered("default", "counter_withdrawal", change):
        assert broken(check()).keys() == found
    assert broken(check()) == {}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DELETE FROM counter_cashmovement WHERE reference = 'in'", {9}),
        ("UPDATE counter_cashmovement SET amount = amount - 1 WHERE reference = 'in'", {9}),
        ("DELETE FROM counter_cashmovement WHERE kind = 'CONFIRMATION'", {7, 9}),
    ],
)
def test_a_movement_that_is_not_booked_as_it_was_is_found(moved, check, change, found):
    with tampered("default", "counter_cashmovement", change):
        assert broken(check()).keys() == found


def test_money_that_was_booked_twice_is_found_though_the_books_balance(moved, check):
    change = """
        INSERT INTO counter_transfer (debit_account_id, credit_account_id, asset, amount, kind, created_at)
        SELECT debit_account_id, credit_account_id, asset, amount, kind, created_at FROM counter_transfer
        WHERE kind = 'withdrawal_confirmed'
    """
    with tampered("default", "counter_transfer", change):
        report = check()
    assert broken(report).keys() == {2, 9}
    [(what, where)] = broken(report)[9]
    assert what == "money in or out that nobody moved"
    assert where.startswith("counter transfer ")
