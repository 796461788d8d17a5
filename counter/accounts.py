"""Opening customers' accounts and moving USDT in and out of them, once for each reference of the exchange's wallet."""

from datetime import datetime
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.db import transaction

from counter.chart import USDT, SystemAccount
from counter.models import Account, CashMovement, Customer, Transfer
from counter.pricing import USDT_UNIT
from ledger.models import NormalSide
from ledger.posting import post

MAX_AMOUNT = Decimal(10**14)  # what a column of 20 digits holds, 6 of them decimals


class AccountError(Exception):
    """A movement of money that is refused."""


class InvalidAmount(AccountError):
    """The amount is not positive, not finite, too large, or finer than 0.000001 USDT."""


class ReferenceReused(AccountError):
    """The reference already belongs to another movement."""


class InsufficientBalance(AccountError):
    """The account holds less than is to be withdrawn."""


def open_customer(*, reference: str, password: str | None, now: datetime) -> Customer:
    """A customer with a login and an empty USDT account. Returns the existing one if the reference is known."""
    with transaction.atomic():
        existing = Customer.objects.filter(reference=reference).first()
        if existing is not None:
            return existing
        user = get_user_model().objects.create_user(username=reference, password=password)
        customer = Customer.objects.create(user=user, reference=reference, created_at=now)
        Account.objects.create(
            code=f"customer:{customer.pk}",
            asset=USDT,
            normal_side=NormalSide.CREDIT,
            customer=customer,
            balance=Decimal(0),
        )
        return customer


def deposit(*, customer_id: int, amount: Decimal, reference: str, now: datetime) -> CashMovement:
    """Credit USDT that has arrived, once for each reference.

    Raises: InvalidAmount, ReferenceReused.
    """
    return _move(CashMovement.Kind.DEPOSIT, customer_id, amount, reference, now)


def withdraw(*, customer_id: int, amount: Decimal, reference: str, now: datetime) -> CashMovement:
    """Debit USDT that leaves, once for each reference.

    Raises: InvalidAmount, ReferenceReused, InsufficientBalance.
    """
    return _move(CashMovement.Kind.WITHDRAWAL, customer_id, amount, reference, now)


def _move(
    kind: CashMovement.Kind, customer_id: int, amount: Decimal, reference: str, now: datetime
) -> CashMovement:
    if not amount.is_finite() or not 0 < amount < MAX_AMOUNT or amount != amount.quantize(USDT_UNIT):
        raise InvalidAmount(f"{amount} USDT")
    with transaction.atomic():
        account = Account.objects.select_for_update().get(customer_id=customer_id)
        movement, created = CashMovement.objects.get_or_create(
            reference=reference,
            defaults={"customer_id": customer_id, "kind": kind, "amount": amount, "created_at": now},
        )
        if (movement.customer_id, movement.kind, movement.amount) != (customer_id, kind, amount):
            raise ReferenceReused(reference)
        if not created:
            return movement
        external = Account.objects.get(pk=SystemAccount.EXTERNAL)
        incoming = kind == CashMovement.Kind.DEPOSIT
        assert account.balance is not None  # noqa: S101 - a database constraint says so for customers
        account.balance += amount if incoming else -amount
        if account.balance < 0:
            raise InsufficientBalance(f"{amount} USDT is more than the account holds")
        account.save(update_fields=["balance"])
        post(
            [
                Transfer(
                    debit_account=external if incoming else account,
                    credit_account=account if incoming else external,
                    asset=USDT,
                    amount=amount,
                    kind=kind.lower(),
                    balance_after=account.balance,
                    created_at=now,
                )
            ]
        )
        return movement
