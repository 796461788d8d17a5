"""Withdrawals: reserved first, which takes them out of the customer's account, then confirmed or released, once.

Lock order: the customer's account, then the withdrawal.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal

import structlog
from django.db import transaction

from counter import events
from counter.models import Account, CashMovement, LateWord, Withdrawal, WithdrawalDecision
from counter.money.cash import AccountError, begin, change_balance, check_amount, leg, locked_account
from counter.money.chart import SystemAccount
from infra.db.lifecycles import moves
from ledger.posting import post

log = structlog.get_logger(__name__)

State = Withdrawal.State


class WithdrawalMissing(AccountError):
    """No withdrawal was reserved under this reference."""

    code = "withdrawal_not_found"


class AlreadyConfirmed(AccountError):
    """The withdrawal was confirmed: it cannot be released."""

    code = "withdrawal_confirmed"


class AlreadyReleased(AccountError):
    """The withdrawal was released: it cannot be confirmed."""

    code = "withdrawal_released"


def reserve(*, customer_id: int, amount: Decimal, reference: str, now: datetime) -> tuple[Withdrawal, bool]:
    """Take USDT out of the account for the wallet to pay out; the withdrawal as it stands, and whether it is new.

    Raises: InvalidAmount, AccountMissing, ReferenceReused, InsufficientBalance; nothing is left of it then.
    """
    check_amount(amount)
    with transaction.atomic():
        account = locked_account(customer_id)
        _, is_new = begin(
            CashMovement.Kind.RESERVATION,
            customer_id=customer_id,
            amount=amount,
            reference=reference,
            created_at=now,
        )
        if is_new:
            change_balance(account, -amount, SystemAccount.WITHDRAWALS, "withdrawal", now)
            made = Withdrawal.objects.create(
                customer_id=customer_id, amount=amount, reference=reference, reserved_at=now
            )
            events.tell(events.WITHDRAWAL_RESERVED, subject_id=made.pk, customer_id=customer_id, now=now)
        return withdrawal_of(reference), is_new


@moves(Withdrawal.confirm)
def confirm(*, reference: str, now: datetime) -> Withdrawal:
    """The wallet has paid a withdrawal out. Again it changes nothing.

    Raises: WithdrawalMissing, AlreadyReleased; where people released it that is told.
    """
    with _telling(reference, State.CONFIRMED, now), transaction.atomic():
        withdrawal = _locked(reference)
        if withdrawal.state == State.RELEASED:
            raise AlreadyReleased(f"{reference} was released")
        if withdrawal.state == State.RESERVED:
            withdrawal.confirm(at=now)
            _keep(withdrawal, CashMovement.Kind.CONFIRMATION, now)
            accounts = Account.objects.in_bulk([SystemAccount.WITHDRAWALS, SystemAccount.EXTERNAL])
            reserved, outside = accounts[SystemAccount.WITHDRAWALS], accounts[SystemAccount.EXTERNAL]
            post([leg(reserved, outside, withdrawal.amount, "withdrawal_confirmed", now, balance_after=None)])
        return withdrawal_of(reference)


@moves(Withdrawal.release)
def release(*, reference: str, now: datetime) -> Withdrawal:
    """The wallet does not pay a withdrawal out: the customer has it back. Again it changes nothing.

    Raises: WithdrawalMissing, AlreadyConfirmed, BalanceTooLarge; where people confirmed it that is told.
    """
    with _telling(reference, State.RELEASED, now), transaction.atomic():
        account = locked_account(withdrawal_of(reference).customer_id)
        withdrawal = _locked(reference)
        if withdrawal.state == State.CONFIRMED:
            raise AlreadyConfirmed(f"{reference} was confirmed")
        if withdrawal.state == State.RESERVED:
            withdrawal.release(at=now)
            _keep(withdrawal, CashMovement.Kind.RELEASE, now)
            change_balance(account, withdrawal.amount, SystemAccount.WITHDRAWALS, "withdrawal_released", now)
        return withdrawal_of(reference)


def withdrawal_of(reference: str) -> Withdrawal:
    """The withdrawal of a reference, with its customer.

    Raises: WithdrawalMissing.
    """
    found = Withdrawal.objects.select_related("customer").filter(reference=reference).first()
    if found is None:
        raise WithdrawalMissing(f"nothing was reserved under {reference}")
    return found


@contextmanager
def _telling(reference: str, said: Withdrawal.State, now: datetime) -> Iterator[None]:
    """Keep what the wallet says against what people have decided: the refusal itself leaves nothing behind."""
    try:
        yield
    except (AlreadyConfirmed, AlreadyReleased):
        with transaction.atomic():
            withdrawal = _locked(reference)
            ended = WithdrawalDecision.objects.filter(
                withdrawal=withdrawal, state=WithdrawalDecision.State.APPLIED, step__in=["confirm", "release"]
            )
            if ended.exists():
                heard = {"said": said, "heard_at": now}
                _, is_new = LateWord.objects.get_or_create(withdrawal=withdrawal, defaults=heard)
                log.error("wallet contradicts", reference=reference, said=said, known=not is_new)
        raise


def _locked(reference: str) -> Withdrawal:
    found = Withdrawal.objects.select_for_update().filter(reference=reference).first()
    if found is None:
        raise WithdrawalMissing(f"nothing was reserved under {reference}")
    return found


def _keep(withdrawal: Withdrawal, kind: CashMovement.Kind, now: datetime) -> None:
    """Store how a locked withdrawal has ended and the movement that ended it, and tell of it."""
    withdrawal.save(update_fields=["state", "confirmed_at", "released_at"])
    CashMovement.objects.create(
        customer_id=withdrawal.customer_id,
        kind=kind,
        amount=withdrawal.amount,
        reference=withdrawal.reference,
        created_at=now,
    )
    told = (
        events.WITHDRAWAL_CONFIRMED if kind == CashMovement.Kind.CONFIRMATION else events.WITHDRAWAL_RELEASED
    )
    events.tell(told, subject_id=withdrawal.pk, customer_id=withdrawal.customer_id, now=now)
