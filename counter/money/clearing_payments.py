"""Paying clearing: what counter owes the desk, or is owed, goes down by what was paid, once for each reference.

The desk's two people decide; counter books what it hears of, if it owes that much. The first answer to a payment, known
by its reference and the desk's id, is the answer to every repetition: a call may be made again after any end of the one
before. A reference that is booked stays booked; one that was refused may come again as another payment.
"""

from datetime import datetime
from decimal import Decimal

import structlog
from django.db import connection, transaction

from counter.models import Account, ClearingPayment
from counter.money.cash import ReferenceReused, check_amount, leg
from counter.money.chart import USDT, SystemAccount
from ledger.posting import post

log = structlog.get_logger(__name__)

KIND = "clearing_payment"  # of its leg
# One at a time: two that are decided at once must not both be paid out of the same debt.
ALONE = """
    SET LOCAL lock_timeout = '2s';
    LOCK TABLE counter_clearingpayment IN SHARE ROW EXCLUSIVE MODE
"""
OWED = """
    SELECT COALESCE(sum(amount) FILTER (WHERE credit_account_id = %(clearing)s), 0)
         - COALESCE(sum(amount) FILTER (WHERE debit_account_id = %(clearing)s), 0)
    FROM counter_transfer WHERE %(clearing)s IN (credit_account_id, debit_account_id)
"""
Direction = ClearingPayment.Direction


def take(
    *,
    reference: str,
    payment_id: int | None,
    asset: str,
    direction: str,
    amount: Decimal,
    requested_by: str,
    approved_by: str,
    now: datetime,
) -> ClearingPayment:
    """Book a payment in the clearing account, or refuse it; known ones are answered as they were.

    `amount` is positive, in `asset`; `payment_id` is the desk's, None from its release before. It adds up all of
    clearing's legs: 0.2 s for a million of the book's.

    Raises: InvalidAmount, ReferenceReused when the reference has other content; OperationalError when another payment
    takes longer than two seconds.
    """
    check_amount(amount)
    content = {"asset": asset, "direction": direction, "amount": amount}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(ALONE)
        known = _known(reference, payment_id)
        if known is not None:
            if any(getattr(known, name) != value for name, value in content.items()):
                raise ReferenceReused(f"{reference} is another payment: {known}")
            return known
        made = ClearingPayment.objects.create(
            reference=reference,
            payment_id=payment_id,
            **content,
            requested_by=requested_by,
            approved_by=approved_by,
            refusal=_refusal(asset, direction, amount),
            at=now,
        )
        if not made.refusal:
            _book(made)
    log.warning("clearing payment", payment=str(made), refusal=made.refusal, approved_by=approved_by)
    return made


def _known(reference: str, payment_id: int | None) -> ClearingPayment | None:
    """What this payment was answered, else what is booked under its reference.

    Without an id nobody can tell a repetition from a payment that is stated again: what was booked, else the last
    refusal, is the answer.
    """
    of_reference = ClearingPayment.objects.filter(reference=reference)
    booked = of_reference.filter(refusal="").first()
    if payment_id is None:
        return booked or of_reference.order_by("id").last()
    return of_reference.filter(payment_id=payment_id).first() or booked


def owed() -> Decimal:
    """USDT that counter owes the desk; negative: the desk owes counter."""
    with connection.cursor() as cursor:
        cursor.execute(OWED, {"clearing": int(SystemAccount.CLEARING)})
        (found,) = cursor.fetchone()
    return found


def _refusal(asset: str, direction: str, amount: Decimal) -> str:
    if asset != USDT:
        return f"counter clears in {USDT} only"
    left = owed() if direction == Direction.TO_DESK else -owed()
    return "" if amount <= left else f"{max(left, Decimal(0))} {asset} are owed that way, not {amount}"


def _book(made: ClearingPayment) -> None:
    accounts = Account.objects.in_bulk([SystemAccount.CLEARING, SystemAccount.EXTERNAL])
    clearing, outside = accounts[SystemAccount.CLEARING], accounts[SystemAccount.EXTERNAL]
    debit, credit = (clearing, outside) if made.direction == Direction.TO_DESK else (outside, clearing)
    post([leg(debit, credit, made.amount, KIND, made.at, balance_after=None)])
