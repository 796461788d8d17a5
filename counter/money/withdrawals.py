"""Withdrawals: reserved first, which takes them out of the customer's account, then confirmed or released, once.

Lock order: the customer's account, then the withdrawal.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from config.transitions import move
from counter.chart import SystemAccount
from counter.models import Account, CashMovement, Withdrawal
from counter.money.cash import AccountError, begin, change_balance, check_amount, leg, locked_account
from ledger.posting import post

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
            Withdrawal.objects.create(
                customer_id=customer_id, amount=amount, reference=reference, reserved_at=now
            )
        return withdrawal_of(reference), is_new


def confirm(*, reference: str, now: datetime) -> Withdrawal:
    """The wallet has paid a withdrawal out. Again it changes nothing.

    Raises: WithdrawalMissing, AlreadyReleased.
    """
    with transaction.atomic():
        withdrawal = _locked(reference)
        if withdrawal.state == State.RELEASED:
            raise AlreadyReleased(f"{reference} was released")
        if withdrawal.state == State.RESERVED:
            _end(withdrawal, Withdrawal.confirm, CashMovement.Kind.CONFIRMATION, now, confirmed_at=now)
            accounts = Account.objects.in_bulk([SystemAccount.WITHDRAWALS, SystemAccount.EXTERNAL])
            reserved, outside = accounts[SystemAccount.WITHDRAWALS], accounts[SystemAccount.EXTERNAL]
            post([leg(reserved, outside, withdrawal.amount, "withdrawal_confirmed", now, balance_after=None)])
        return withdrawal_of(reference)


def release(*, reference: str, now: datetime) -> Withdrawal:
    """The wallet does not pay a withdrawal out: the customer has it back. Again it changes nothing.

    Raises: WithdrawalMissing, AlreadyConfirmed, BalanceTooLarge.
    """
    with transaction.atomic():
        account = locked_account(withdrawal_of(reference).customer_id)
        withdrawal = _locked(reference)
        if withdrawal.state == State.CONFIRMED:
            raise AlreadyConfirmed(f"{reference} was confirmed")
        if withdrawal.state == State.RESERVED:
            _end(withdrawal, Withdrawal.release, CashMovement.Kind.RELEASE, now, released_at=now)
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


def _locked(reference: str) -> Withdrawal:
    found = Withdrawal.objects.select_for_update().filter(reference=reference).first()
    if found is None:
        raise WithdrawalMissing(f"nothing was reserved under {reference}")
    return found


def _end(
    withdrawal: Withdrawal, transition: Any, kind: CashMovement.Kind, now: datetime, **times: datetime
) -> None:
    move(Withdrawal, transition, [withdrawal.pk], same=times)
    CashMovement.objects.create(
        customer_id=withdrawal.customer_id,
        kind=kind,
        amount=withdrawal.amount,
        reference=withdrawal.reference,
        created_at=now,
    )
