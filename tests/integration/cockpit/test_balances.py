"""The page "Balances": what it says is what the books say, to the last digit, and each leg is added up once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cockpit import risk
from cockpit.balances import Carried, carried, read
from cockpit.balances_page import shared_balances
from counter.models import Account, CashMovement, Transfer
from counter.money.chart import SystemAccount
from ledger.posting import balances as balances_of
from settlement.models import DeskAccount, DeskTransfer
from tests.integration.cockpit.test_dashboard import text_of
from tests.support.factories import make_customer, make_option, make_quote, place_open
from tests.support.staff import staff as staff_of

pytestmark = pytest.mark.usefixtures("nothing_carried")


@pytest.fixture
def nothing_carried():
    for each in (carried, shared_balances):
        each.forget()
    yield
    for each in (carried, shared_balances):
        each.forget()


def reading():
    now = timezone.now()
    return read(risk=risk.read(now=now), now=now)


def in_the_book():
    return {(code, asset): amount for _, code, asset, amount in balances_of(DeskAccount, DeskTransfer)}


def test_the_desk_s_accounts_are_those_of_its_book(past):
    found = {(each.code, each.asset): each.amount for each in reading().desk}
    assert found == in_the_book()
    assert found["venue", "USDT"] > 0


def test_what_is_carried_on_is_added_up_once_and_newer_legs_every_time(past):
    once = Carried()
    now = timezone.now()
    everything = {(each.code, each.asset): each.amount for each in once.balances(now=now)}
    assert once._until == 0  # all of it is too young to be carried
    later = now + timedelta(minutes=10)
    assert {(each.code, each.asset): each.amount for each in once.balances(now=later)} == everything
    assert once._until == DeskTransfer.objects.latest("id").pk
    first = DeskTransfer.objects.earliest("id")
    values = {
        "debit_account": first.debit_account,
        "credit_account": first.credit_account,
        "asset": first.asset,
    }
    DeskTransfer.objects.create(**values, amount=Decimal("1.5"), kind="capital", created_at=later)
    with CaptureQueriesContext(connections["desk"]) as asked:
        grown = {(each.code, each.asset): each.amount for each in once.balances(now=later)}
    assert grown == in_the_book()
    assert f"id > {once._until}" in asked[1]["sql"]
    assert grown[first.debit_account.code, first.asset] == (
        everything[first.debit_account.code, first.asset] + Decimal("1.5")
    )


def test_what_counter_owes_and_holds_is_what_its_book_says(past):
    found = reading()
    book = {key: amount for key, _, _, amount in balances_of(Account, Transfer)}
    customers = sum(amount for key, amount in book.items() if key > 1000)
    assert found.customer_balances == customers > 0
    assert found.reserved == book[SystemAccount.WITHDRAWALS]
    assert found.cash_at_counter == book[SystemAccount.EXTERNAL]
    assert found.cash_at_counter == sum(CashMovement.objects.values_list("amount", flat=True))
    assert found.owed == found.customer_balances + found.reserved + found.options
    assert found.held == found.cash_at_counter + found.desk_cash + found.at_venue


def test_the_ladder_says_what_each_expiry_would_pay_at_this_index(two_systems):
    near, far = make_option(strike=80_000), make_option(strike=95_000, days=60)
    customer = make_customer()
    for option in (near, far):
        place_open(customer, option, contracts=100)
        make_quote(option, index=Decimal(90_000))
    first, second = reading().ladder
    # One coin of calls at 80,000 with the index at 90,000; the other one pays nothing.
    assert (first.contracts, first.payout) == (100, Decimal("9999.999900"))
    assert (second.contracts, second.payout) == (100, Decimal(0))
    assert first.worth > first.payout
    assert second.worth > 0


@pytest.mark.django_db(databases=["default", "desk"])
def test_the_page_is_whole_before_anything_has_happened():
    text = text_of(staff_of("vic", role="viewer").get("/admin/balances/"))
    assert "the books are not open yet" in text
    assert "reconciled with the venue never" in text
    assert "nobody holds an option" in text


def test_the_page_shows_units_thousands_and_what_is_outside_of_its_band(past):
    make_customer(balance="1234567.5")
    text = text_of(staff_of("vic", role="viewer").get("/admin/balances/"))
    assert f"{reading().customer_balances:,.2f}" in text
    assert "trading wallet at the venue" in text
    assert "within 500,000 to 6,000,000" in text or "outside of 500,000 to 6,000,000" in text


def test_who_may_not_see_the_books_sees_no_balances(two_systems):
    assert staff_of("eve").get("/admin/balances/").status_code == 403
