"""Two people end a withdrawal that the wallet service does not, once, also when others end it at the same moment."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.urls import reverse

from cockpit import snapshot
from cockpit.alerts import alerts
from counter.models import Account, CashMovement, LateWord, Transfer, Withdrawal, WithdrawalDecision
from counter.money import withdrawal_decisions, withdrawals
from counter.money.cash import AccountError
from counter.money.chart import SystemAccount
from counter.money.withdrawal_decisions import DecisionRefused
from infra.coordination import clock
from infra.db.decisions import Person
from ledger.posting import balances
from tests.support.factories import make_customer
from tests.support.staff import staff
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ANN, BOB, EVE = Person(1, "ann"), Person(2, "bob"), Person(3, "eve")


@pytest.fixture
def withdrawal() -> Withdrawal:
    customer = make_customer(balance="100", now=NOW)
    made, _ = withdrawals.reserve(customer_id=customer.pk, amount=Decimal(30), reference="w-1", now=NOW)
    return made


def ask_for(withdrawal: Withdrawal, step: str, by: Person = ANN) -> WithdrawalDecision:
    return withdrawal_decisions.request(
        withdrawal_id=withdrawal.pk,
        step=step,
        reason="the wallet lost it",
        evidence="payment 17",
        by=by,
        now=NOW,
    )


def approve(made: WithdrawalDecision, by: Person = BOB) -> WithdrawalDecision:
    return withdrawal_decisions.approve(decision_id=made.pk, by=by, note="seen", now=NOW)


def held(withdrawal: Withdrawal) -> Decimal:
    return Account.objects.get(customer_id=withdrawal.customer_id).balance or Decimal(0)


def system(account: SystemAccount) -> Decimal:
    return {account_id: total for account_id, _, _, total in balances(Account, Transfer)}[account]


def outcome_of(action) -> str:
    try:
        return str(action().state)
    except (AccountError, DecisionRefused) as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("step", "state", "balance"), [("confirm", "CONFIRMED", "70"), ("release", "RELEASED", "100")]
)
def test_two_people_end_a_withdrawal_and_the_same_word_of_the_wallet_changes_nothing_after(
    withdrawal, step, state, balance
):
    made = approve(ask_for(withdrawal, step))
    assert (made.state, made.requested_by, made.decided_by) == ("APPLIED", "ann", "bob")
    getattr(withdrawals, step)(reference="w-1", now=NOW)
    withdrawal.refresh_from_db()
    assert (withdrawal.state, held(withdrawal)) == (state, Decimal(balance))
    assert system(SystemAccount.WITHDRAWALS) == 0
    assert CashMovement.objects.filter(reference="w-1").count() == 2
    assert not LateWord.objects.exists()


def test_one_person_alone_ends_nothing_by_any_way(withdrawal):
    made = ask_for(withdrawal, "release")
    with pytest.raises(DecisionRefused, match="another person"):
        approve(made, by=ANN)
    with pytest.raises(DecisionRefused, match="waits"):
        ask_for(withdrawal, "confirm", by=EVE)
    applied = {"state": "APPLIED", "decided_by": "ann", "decided_by_id": ANN.id, "decided_at": NOW}
    with pytest.raises(IntegrityError, match="maker_is_not_checker"), transaction.atomic():
        WithdrawalDecision.objects.filter(pk=made.pk).update(**applied)
    with pytest.raises(DatabaseError, match="keeps what was asked"), transaction.atomic():
        WithdrawalDecision.objects.filter(pk=made.pk).update(step="confirm")
    assert held(withdrawal) == 70


def test_the_wallets_word_that_comes_first_makes_the_request_void(withdrawal):
    made = ask_for(withdrawal, "release")
    withdrawals.confirm(reference="w-1", now=NOW)
    with pytest.raises(DecisionRefused, match="void"):
        approve(made)
    made.refresh_from_db()
    assert (made.state, held(withdrawal), system(SystemAccount.WITHDRAWALS)) == ("VOID", 70, 0)


def test_approvals_and_the_wallet_at_once_end_it_once(withdrawal):
    made = ask_for(withdrawal, "release")
    outcomes = Counter(
        at_once(
            partial(outcome_of, action)
            for action in [
                *(partial(approve, made, by=by) for by in (BOB, EVE) for _ in range(4)),
                *(partial(withdrawals.confirm, reference="w-1", now=NOW) for _ in range(4)),
            ]
        )
    )
    withdrawal.refresh_from_db()
    assert held(withdrawal) == (100 if withdrawal.state == "RELEASED" else 70)
    assert system(SystemAccount.WITHDRAWALS) == 0
    assert CashMovement.objects.filter(reference="w-1").count() == 2
    assert outcomes["APPLIED"] == (withdrawal.state == "RELEASED")


@pytest.mark.parametrize(
    ("step", "late", "answer", "after", "moved"),
    [
        ("release", withdrawals.confirm, "take_back", "70", "30"),
        ("confirm", withdrawals.release, "give_back", "100", "0"),
        ("release", withdrawals.confirm, "explain", "100", "0"),
    ],
)
def test_a_late_word_against_it_is_told_books_nothing_and_is_answered_once(
    withdrawal, step, late, answer, after, moved
):
    deposited = -system(SystemAccount.EXTERNAL)
    approve(ask_for(withdrawal, step))
    before = held(withdrawal)
    for _ in range(3):
        with pytest.raises(AccountError):
            late(reference="w-1", now=NOW)
    assert held(withdrawal) == before
    word = LateWord.objects.get()
    assert word.state == "OPEN"
    found = {each.code: each for each in alerts(snapshot.read(now=clock.of("default").now()))}
    assert found["withdrawal_contradicted"].count == 1

    with pytest.raises(DecisionRefused, match="nothing of that kind"):
        ask_for(withdrawal, step)
    made = ask_for(withdrawal, answer)
    outcomes = Counter(at_once(partial(outcome_of, partial(approve, made, by=by)) for by in (BOB, EVE) * 3))
    assert outcomes == {"APPLIED": 1, "DecisionRefused": 5}
    assert held(withdrawal) == Decimal(after)
    word.refresh_from_db()
    assert (word.state, word.answer_id) == ("ANSWERED", made.pk)
    assert abs(deposited + system(SystemAccount.EXTERNAL)) == Decimal(moved)
    with pytest.raises(AccountError):
        late(reference="w-1", now=NOW)
    assert LateWord.objects.get().state == "ANSWERED"
    assert withdrawal_decisions.steps_for(Withdrawal.objects.get(pk=withdrawal.pk)) == []


def test_what_the_customer_has_spent_is_not_taken_back(withdrawal):
    approve(ask_for(withdrawal, "release"))
    with pytest.raises(AccountError):
        withdrawals.confirm(reference="w-1", now=NOW)
    withdrawals.reserve(customer_id=withdrawal.customer_id, amount=Decimal(90), reference="w-2", now=NOW)
    made = ask_for(withdrawal, "take_back")
    with pytest.raises(DecisionRefused, match="cannot be booked"):
        approve(made)
    assert (held(withdrawal), LateWord.objects.get().state) == (10, "OPEN")
    withdrawal_decisions.reject(decision_id=made.pk, by=ANN, note="spent", now=NOW)
    approve(ask_for(withdrawal, "explain"))
    assert LateWord.objects.get().state == "ANSWERED"


def test_pages_lead_an_operator_and_an_approver_through_it_and_nobody_else(withdrawal):
    operator, approver = staff("olga", role="operator"), staff("anton", role="approver")
    viewer = staff("vera", role="viewer")
    page = reverse("admin:counter_withdrawal_change", args=[withdrawal.pk])
    end = reverse("admin:counter_withdrawal_end", args=[withdrawal.pk])
    said = {"step": "confirm", "evidence": "payment 17", "reason": "the wallet is gone"}
    assert "End the withdrawal" in operator.get(page).content.decode()
    assert (viewer.post(end, said).status_code, approver.post(end, said).status_code) == (403, 403)
    assert "Another person has to approve it now" in operator.post(end, said, follow=True).content.decode()
    made = WithdrawalDecision.objects.get()
    decide = reverse("admin:counter_withdrawaldecision_decide", args=[made.pk])
    assert operator.post(decide, {"decision": "approve"}).status_code == 403
    assert operator.get(end).status_code == 200
    shown = approver.get(reverse("admin:counter_withdrawaldecision_change", args=[made.pk]))
    assert "payment 17" in shown.content.decode()
    assert "It is applied" in approver.post(decide, {"decision": "approve"}, follow=True).content.decode()
    withdrawal.refresh_from_db()
    assert withdrawal.state == "CONFIRMED"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM counter_withdrawaldecision WHERE state = 'APPLIED'")
        assert cursor.fetchone() == (1,)
