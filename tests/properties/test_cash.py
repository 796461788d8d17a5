"""Messages of the wallet, sent again and between orders: the books balance, and each reference begins and ends once.

The reference is a bookkeeper of dictionaries that shares no code with counter.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from counter.models import Account, CashMovement, Transfer, Withdrawal
from counter.money import accounts, withdrawals
from counter.money.cash import AccountError
from counter.money.chart import SystemAccount
from counter.orders.placing import place_orders
from counter.orders.requests import OpenRequest
from ledger.posting import balances, trial_balance
from tests.support.examples import examples
from tests.support.factories import make_customer, make_option

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
COST_OF_ONE = Decimal("22.612500")


@dataclass
class Books:
    """What should have become of everything so far."""

    held: dict[int, Decimal]
    begun: dict[str, tuple] = field(default_factory=dict)  # kind, customer, amount by reference
    states: dict[str, str] = field(default_factory=dict)

    def deposit(self, customer: int, amount: Decimal, reference: str) -> str:
        return self._begin("DEPOSIT", customer, amount, reference, amount)

    def reserve(self, customer: int, amount: Decimal, reference: str) -> str:
        return self._begin("RESERVATION", customer, amount, reference, -amount)

    def confirm(self, reference: str) -> str:
        return self._end(reference, "CONFIRMED", "RELEASED")

    def release(self, reference: str) -> str:
        return self._end(reference, "RELEASED", "CONFIRMED")

    def order(self, customer: int) -> str:
        if self.held[customer] < COST_OF_ONE:
            return "insufficient_balance"
        self.held[customer] -= COST_OF_ONE
        return "done"

    def _begin(self, kind: str, customer: int, amount: Decimal, reference: str, by: Decimal) -> str:
        content = (kind, customer, amount)
        if reference in self.begun:
            return "done" if self.begun[reference] == content else "reference_reused"
        if self.held[customer] + by < 0:
            return "insufficient_balance"
        self.begun[reference] = content
        self.held[customer] += by
        if kind == "RESERVATION":
            self.states[reference] = "RESERVED"
        return "done"

    def _end(self, reference: str, state: str, other: str) -> str:
        known = self.states.get(reference)
        if known is None:
            return "withdrawal_not_found"
        if known == other:
            return f"withdrawal_{other.lower()}"
        if known == "RESERVED" and state == "RELEASED":
            _, customer, amount = self.begun[reference]
            self.held[customer] += amount
        self.states[reference] = state
        return "done"


who = st.sampled_from([0, 0, 1])
names = st.sampled_from("abcd")
amounts = st.sampled_from(
    [Decimal("0.000001"), Decimal(10), Decimal("29.999999"), Decimal(30), Decimal("1e8")]
)
steps = st.one_of(
    st.tuples(st.just("deposit"), who, amounts, names),
    st.tuples(st.just("reserve"), who, amounts, names),
    st.tuples(st.just("reserve"), who, amounts, names),
    st.tuples(st.just("confirm"), names),
    st.tuples(st.just("release"), names),
    st.tuples(st.just("order"), who),
)


@pytest.fixture
def market(db):
    return [make_customer(balance=balance, now=NOW).pk for balance in ("30", "45")], make_option(now=NOW)


@pytest.mark.django_db
@hypothesis_settings(
    max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=st.lists(steps, min_size=1, max_size=16))
def test_any_order_of_deposits_withdrawals_and_orders_keeps_the_books(market, asked):
    customers, option = market
    with transaction.atomic():
        books = Books({0: Decimal(30), 1: Decimal(45)})
        for number, (name, *arguments) in enumerate(asked):
            expected = getattr(books, name)(*arguments)
            assert done(name, arguments, number, customers, option) == expected
            assert_same(books, customers)
        transaction.set_rollback(True)


def done(name, arguments, number, customers, option):
    """What counter answers: `done`, or the code of its refusal."""
    now = NOW + timedelta(milliseconds=number)
    if name == "order":
        request = OpenRequest(
            customer_id=customers[arguments[0]],
            client_order_id=f"o-{number}",
            symbol=option.symbol,
            contracts=1,
        )
        [outcome] = place_orders(requests=[request], now=NOW)
        return str(getattr(outcome, "code", "done"))
    try:
        if name in ("confirm", "release"):
            getattr(withdrawals, name)(reference=arguments[0], now=now)
        else:
            move = accounts.deposit if name == "deposit" else withdrawals.reserve
            customer, amount, reference = arguments
            move(customer_id=customers[customer], amount=amount, reference=reference, now=now)
    except AccountError as error:
        return error.code
    return "done"


def assert_same(books, customers):
    summed = {account_id: held for account_id, _, _, held in balances(Account, Transfer)}
    for number, customer_id in enumerate(customers):
        account = Account.objects.get(customer_id=customer_id)
        assert account.balance == summed[account.pk] == books.held[number] >= 0
    waiting = sum(books.begun[name][2] for name, state in books.states.items() if state == "RESERVED")
    assert summed[SystemAccount.WITHDRAWALS] == waiting
    assert all(asset.total == 0 for asset in trial_balance(Account, Transfer))
    assert dict(Withdrawal.objects.values_list("reference", "state")) == books.states
    ended = sum(state != "RESERVED" for state in books.states.values())
    own = CashMovement.objects.exclude(reference__startswith="deposit-")
    assert own.count() == len(books.begun) + ended
