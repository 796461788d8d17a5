"""Ending a withdrawal without the wallet service: one person asks for it with evidence, another approves.

Guards: the requester cannot approve, by a constraint of the database too; all is checked again under the locks of the
customer's account and the withdrawal, so that the first one ends it and nobody ends it twice. What the wallet
says later is told, and changes nothing before two people have answered it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from django.db import IntegrityError, transaction

from counter.models import LateWord, Withdrawal, WithdrawalDecision
from counter.money import accounts, withdrawals
from counter.money.cash import AccountError, locked_account
from infra.db.decisions import Person
from infra.db.lifecycles import moves

log = structlog.get_logger(__name__)

Step, State = WithdrawalDecision.Step, WithdrawalDecision.State


class DecisionRefused(Exception):
    """The request or the decision cannot be; the message says why, for people."""


def steps_for(withdrawal: Withdrawal) -> list[WithdrawalDecision.Step]:
    """What people may ask for as it stands."""
    if withdrawal.state == Withdrawal.State.RESERVED:
        return [Step.CONFIRM, Step.RELEASE]
    if not LateWord.objects.filter(withdrawal=withdrawal, state=LateWord.State.OPEN).exists():
        return []
    booked = Step.TAKE_BACK if withdrawal.state == Withdrawal.State.RELEASED else Step.GIVE_BACK
    return [booked, Step.EXPLAIN]


def request(
    *, withdrawal_id: int, step: str, reason: str, evidence: str, by: Person, now: datetime
) -> WithdrawalDecision:
    """Ask that a withdrawal be ended, or the wallet's late word be answered.

    Raises: DecisionRefused.
    """
    if not reason.strip() or not evidence.strip():
        raise DecisionRefused("a reason and a reference that shows it are needed")
    try:
        with transaction.atomic():
            withdrawal = Withdrawal.objects.select_for_update().get(pk=withdrawal_id)
            _allowed(step, withdrawal)
            made = WithdrawalDecision.objects.create(
                withdrawal=withdrawal,
                step=step,
                reason=reason.strip(),
                evidence=evidence.strip(),
                requested_by_id=by.id,
                requested_by=by.name,
                requested_at=now,
            )
    except IntegrityError as error:
        raise DecisionRefused("another request waits for its decision") from error
    log.warning("withdrawal decision requested", decision=made.pk, what=str(made), by=by.name)
    return made


@moves(WithdrawalDecision.apply)
@moves(WithdrawalDecision.void)
def approve(*, decision_id: int, by: Person, note: str, now: datetime) -> WithdrawalDecision:
    """Do what somebody else has asked for; void if the withdrawal has been ended meanwhile.

    Raises: DecisionRefused.
    """
    void = ""
    try:
        with transaction.atomic():
            made = _locked(decision_id)
            if made.requested_by_id == by.id:
                raise DecisionRefused("another person has to approve it")
            try:
                _allowed(made.step, made.withdrawal)
            except DecisionRefused as refusal:
                void = str(refusal)
                _decide(made, WithdrawalDecision.void, by, void, now)
            else:
                _do(made, now)
                _decide(made, WithdrawalDecision.apply, by, note.strip(), now)
                _answer_late_word(made)
    except AccountError as error:
        raise DecisionRefused(f"it cannot be booked: {error}") from error
    if void:
        raise DecisionRefused(f"{void}: the request is void")
    log.warning("withdrawal decision approved", decision=made.pk, what=str(made), by=by.name)
    return made


@moves(WithdrawalDecision.reject)
def reject(*, decision_id: int, by: Person, note: str, now: datetime) -> WithdrawalDecision:
    """Say no to what somebody else has asked for; the requester withdraws it.

    Raises: DecisionRefused.
    """
    if not note.strip():
        raise DecisionRefused("a reason is needed")
    with transaction.atomic():
        made = _locked(decision_id)
        _decide(made, WithdrawalDecision.reject, by, note.strip(), now)
    return made


def _allowed(step: str, withdrawal: Withdrawal) -> None:
    if step not in steps_for(withdrawal):
        raise DecisionRefused(f"the withdrawal is {withdrawal.state}, and nothing of that kind is open")


def _locked(decision_id: int) -> WithdrawalDecision:
    """The decision, undecided, locked after the customer's account and the withdrawal, as the wallet's calls do."""
    known = WithdrawalDecision.objects.select_related("withdrawal").get(pk=decision_id)
    locked_account(known.withdrawal.customer_id)
    withdrawal = Withdrawal.objects.select_for_update().get(pk=known.withdrawal_id)
    made = WithdrawalDecision.objects.select_for_update().get(pk=decision_id)
    if made.state != State.REQUESTED:
        raise DecisionRefused(f"it was decided by {made.decided_by}: {made.state}")
    made.withdrawal = withdrawal
    return made


def _do(made: WithdrawalDecision, now: datetime) -> None:
    withdrawal = made.withdrawal
    # A movement of its own, under a reference that cannot be the wallet's: blanks are not allowed in those.
    again: dict[str, Any] = {
        "customer_id": withdrawal.customer_id,
        "amount": withdrawal.amount,
        "reference": f"decision {made.pk}",
        "now": now,
    }
    if made.step == Step.CONFIRM:
        withdrawals.confirm(reference=withdrawal.reference, now=now)
    elif made.step == Step.RELEASE:
        withdrawals.release(reference=withdrawal.reference, now=now)
    elif made.step == Step.TAKE_BACK:
        withdrawals.reserve(**again)
        withdrawals.confirm(reference=again["reference"], now=now)
    elif made.step == Step.GIVE_BACK:
        accounts.deposit(**again)


@moves(LateWord.end)
def _answer_late_word(made: WithdrawalDecision) -> None:
    words = LateWord.objects.select_for_update()
    for heard in words.filter(withdrawal=made.withdrawal, state=LateWord.State.OPEN):
        heard.end(answer=made)
        heard.save(update_fields=["state", "answer"])


def _decide(
    made: WithdrawalDecision,
    step: Callable[[WithdrawalDecision], None],
    by: Person,
    note: str,
    now: datetime,
) -> None:
    made.sign(by, note, at=now)
    step(made)
    made.save(update_fields=["state", *WithdrawalDecision.SIGNED])
