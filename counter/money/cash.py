"""What deposits and withdrawals share: the reference that each has once, the locked account, the legs in the book."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from counter.limits.reached import Reached
from counter.models import Account, CashMovement, Transfer
from counter.money.chart import USDT, SystemAccount
from counter.pricing.formulas import USDT_UNIT
from ledger.decimals import is_multiple
from ledger.posting import post

MAX_AMOUNT = Decimal(10**14)  # what a column of 20 digits holds, 6 of them decimals
WAIT_FOR_MOVEMENTS = "SET LOCAL lock_timeout = '2s'"
NONE_UNDER_WAY = "LOCK TABLE counter_cashmovement IN SHARE MODE"


class AccountError(Exception):
    """A movement of money that is refused; `code` is the API's, `reached` what it would have gone beyond."""

    code = "invalid_request"

    def __init__(self, message: str, reached: Reached | None = None) -> None:
        super().__init__(message)
        self.reached = reached


class InvalidAmount(AccountError):
    """The amount is not positive, not finite, too large, or finer than 0.000001 USDT."""


class BalanceTooLarge(AccountError):
    """The account would hold more than can be stored."""

    code = "amount_too_large"


class AccountMissing(AccountError):
    """There is no such customer, or the customer has no account."""

    code = "account_not_found"


class ReferenceReused(AccountError):
    """The reference already belongs to another movement."""

    code = "reference_reused"


class InsufficientBalance(AccountError):
    """The account holds less than is to be withdrawn."""

    code = "insufficient_balance"


def check_amount(amount: Decimal) -> None:
    """Raises: InvalidAmount."""
    if not amount.is_finite() or not 0 < amount < MAX_AMOUNT or not is_multiple(amount, USDT_UNIT):
        raise InvalidAmount(f"{amount} USDT")


def locked_account(customer_id: int) -> Account:
    """A customer's account, locked until the caller's transaction ends; the lock goes before all others.

    Raises: AccountMissing.
    """
    account = Account.objects.select_for_update().filter(customer_id=customer_id).first()
    if account is None:
        raise AccountMissing(f"customer {customer_id} has no account")
    return account


def begin(kind: CashMovement.Kind, **content: Any) -> tuple[CashMovement, bool]:
    """The movement that a reference begins, and whether it is new, in the caller's transaction.

    `content` is customer_id, amount, reference and created_at; the same again at another time is the same movement.

    Raises: ReferenceReused.
    """
    movement, is_new = (
        CashMovement.objects.exclude(kind__in=CashMovement.ENDS)
        .select_related("customer")
        .get_or_create(reference=content["reference"], defaults={"kind": kind, **content})
    )
    known = (movement.kind, movement.customer_id, movement.amount)
    if known != (kind, content["customer_id"], content["amount"]):
        raise ReferenceReused(f"{movement.reference} is a {movement.kind.lower()} of other content")
    return movement, is_new


def change_balance(account: Account, by: Decimal, other: SystemAccount, kind: str, now: datetime) -> None:
    """Move USDT between a locked account and a system account: in when `by` is positive, out when it is negative.

    Raises: InsufficientBalance, BalanceTooLarge.
    """
    assert account.balance is not None  # noqa: S101 - a database constraint says so for customers
    held = account.balance
    account.balance += by
    if account.balance < 0:
        raise InsufficientBalance(f"{-by} USDT is more than the account holds", Reached("balance", left=held))
    if account.balance >= MAX_AMOUNT:
        most = MAX_AMOUNT - USDT_UNIT
        raise BalanceTooLarge(
            f"with {by} USDT the account would hold more than is kept",
            Reached("balance", left=most - held, limit=most),
        )
    account.save(update_fields=["balance"])
    system = Account.objects.get(pk=other)
    debit, credit = (system, account) if by > 0 else (account, system)
    post([leg(debit, credit, abs(by), kind, now, balance_after=account.balance)])


def leg(
    debit: Account,
    credit: Account,
    amount: Decimal,
    kind: str,
    now: datetime,
    *,
    balance_after: Decimal | None,
) -> Transfer:
    """One transfer of USDT that belongs to no order."""
    return Transfer(
        debit_account=debit,
        credit_account=credit,
        asset=USDT,
        amount=amount,
        kind=kind,
        balance_after=balance_after,
        created_at=now,
    )


def movements(*, after_id: int, limit: int) -> list[CashMovement]:
    """Up to `limit` movements after one, oldest first; none that is older than a page's last is committed later.

    Ids are given before the commit, so it waits for the movements that are under way, and they wait for it.

    Raises: OperationalError when they take longer than two seconds.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(WAIT_FOR_MOVEMENTS)
            cursor.execute(NONE_UNDER_WAY)
        rows = CashMovement.objects.filter(pk__gt=after_id).select_related("customer").order_by("pk")
        return list(rows[:limit])
