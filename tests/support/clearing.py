"""Clearing that is owed, in both books and of no order, and payments of it by two people."""

from decimal import Decimal

from django.utils import timezone

from counter.models import Account
from counter.money.cash import leg
from counter.money.chart import SystemAccount
from ledger.posting import post
from settlement.book.chart import COUNTER, TRADING, USDT
from settlement.book.legs import Legs
from settlement.counter_link import clearing_payments
from settlement.models import ClearingPayment
from tests.support.people import ANN, BOB


def owe(amount: Decimal) -> None:
    """Counter owes the desk so much, on both sides; negative: the desk owes counter."""
    now = timezone.now()
    legs = Legs(now=now)
    legs.add("test", USDT, debit=COUNTER, credit=TRADING, amount=amount)
    legs.post()
    accounts = Account.objects.in_bulk([SystemAccount.CLEARING, SystemAccount.SPREAD])
    clearing, spread = accounts[SystemAccount.CLEARING], accounts[SystemAccount.SPREAD]
    debit, credit = (spread, clearing) if amount > 0 else (clearing, spread)
    post([leg(debit, credit, abs(amount), "test", now, balance_after=None)])


def ask_to_pay(amount: str, reference: str = "bank-1") -> ClearingPayment:
    """What ann states."""
    return clearing_payments.request(
        asset=USDT,
        amount=Decimal(amount),
        reference=reference,
        reason="what was owed at the end of November",
        by=ANN,
        now=timezone.now(),
    )


def approved(amount: str, reference: str = "bank-1") -> ClearingPayment:
    """What ann states and bob approves."""
    asked = ask_to_pay(amount, reference)
    return clearing_payments.approve(payment_id=asked.pk, by=BOB, note="seen", now=timezone.now())
