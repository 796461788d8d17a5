"""Opening customers' accounts, and crediting USDT that has arrived, once for each reference of the wallet."""

from datetime import datetime
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from counter import events
from counter.models import Account, CashMovement, Customer
from counter.money.cash import ReferenceReused, begin, change_balance, check_amount, locked_account
from counter.money.chart import USDT, SystemAccount
from ledger.models import NormalSide


def open_customer(*, reference: str, password: str | None, now: datetime) -> Customer:
    """A customer with a login and an empty USDT account. Returns the existing one if the reference is known.

    Raises: ReferenceReused when a user of that name is no customer.
    """
    existing = Customer.objects.filter(reference=reference).first()
    if existing is not None:
        return existing
    try:
        with transaction.atomic():
            return _open(reference, password, now)
    except IntegrityError as error:
        existing = Customer.objects.filter(reference=reference).first()
        if existing is None:
            raise ReferenceReused(f"{reference} is the name of a user who is no customer") from error
        return existing


def _open(reference: str, password: str | None, now: datetime) -> Customer:
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


def deposit(*, customer_id: int, amount: Decimal, reference: str, now: datetime) -> tuple[CashMovement, bool]:
    """Credit USDT that has arrived, once for each reference; the deposit, and whether it is new.

    Raises: InvalidAmount, AccountMissing, ReferenceReused, BalanceTooLarge.
    """
    check_amount(amount)
    with transaction.atomic():
        account = locked_account(customer_id)
        movement, is_new = begin(
            CashMovement.Kind.DEPOSIT,
            customer_id=customer_id,
            amount=amount,
            reference=reference,
            created_at=now,
        )
        if is_new:
            change_balance(account, amount, SystemAccount.EXTERNAL, "deposit", now)
            events.tell_newest_credit(
                events.DEPOSIT_CREDITED, account_id=account.pk, customer_id=customer_id, now=now
            )
        return movement, is_new
