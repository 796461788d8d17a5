"""Paying clearing: what counter owes the desk, or is owed, is settled by two people and stands in both books.

One person states a payment that was made outside of both systems, with its reference; another approves it. Counter is
told outside of any transaction, and told again until it answers: it answers a payment once, and books a reference once.
Only then is the desk's leg booked, so counter is never behind the desk. Cut off anywhere, the next sweep goes on where
it was. What counter refused may be stated again under its reference: that is another payment.
"""

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, connections, transaction

from acceptance import counter_client
from acceptance.counter_client import CounterError
from counter.contracts import USDT_DECIMALS, ClearingAnswer, ClearingPaid
from infra.broker.dispatcher import dispatcher
from infra.coordination import clock
from infra.db.after_commit import after_commit
from infra.db.decisions import Person
from infra.db.lifecycles import moves
from ledger.decimals import is_multiple
from settlement.book.chart import CASH, COUNTER
from settlement.book.legs import Legs
from settlement.models import ClearingPayment
from settlement.venues import halts, state_history
from settlement.venues.state_history import MovedMeanwhile

log = structlog.get_logger(__name__)

KIND = "clearing_payment"  # of its leg
BY = "clearing"
UNIT = Decimal(1).scaleb(-USDT_DECIMALS)
MAX_AMOUNT = Decimal(10**14)
TASK: list[tuple[str, list[Any]]] = [("settlement.pay_clearing", [])]
OWED = """
    SELECT COALESCE(sum(CASE t.debit_account_id WHEN a.id THEN t.amount ELSE -t.amount END), 0)
    FROM settlement_deskaccount AS a
    JOIN settlement_desktransfer AS t ON a.id IN (t.debit_account_id, t.credit_account_id)
    WHERE a.code = %s AND a.asset = %s
"""
Direction, State = ClearingPayment.Direction, ClearingPayment.State


class PaymentRefused(Exception):
    """The payment cannot be asked for or decided; the message says why, for people."""


def owed(asset: str) -> Decimal:
    """What counter owes the desk of an asset by the desk's book; negative: what the desk owes counter."""
    with connections["desk"].cursor() as cursor:
        cursor.execute(OWED, [COUNTER, asset])
        (found,) = cursor.fetchone()
    return found


def request(
    *, asset: str, amount: Decimal, reference: str, reason: str, by: Person, now: datetime
) -> ClearingPayment:
    """Ask that a payment of the side that owes be booked: `amount` of `asset`, positive.

    Raises: PaymentRefused.
    """
    if not reason.strip() or not reference.strip():
        raise PaymentRefused("a reason and the payment's reference are needed")
    if not amount.is_finite() or not 0 < amount < MAX_AMOUNT or not is_multiple(amount, UNIT):
        raise PaymentRefused(f"the amount is positive, of at most {USDT_DECIMALS} decimals")
    made = ClearingPayment(
        asset=asset,
        direction=Direction.TO_DESK if owed(asset) > 0 else Direction.TO_COUNTER,
        amount=amount,
        reference=reference.strip(),
        reason=reason.strip(),
        requested_by_id=by.id,
        requested_by=by.name,
        requested_at=now,
    )
    try:
        with transaction.atomic(using="desk"):
            _check_owed(made)
            state_history.begin(made, at=now, by=by.name)
    except IntegrityError as error:
        raise PaymentRefused("one of this asset is open, or this reference is booked already") from error
    log.warning("clearing payment requested", payment=made.pk, what=str(made), by=by.name)
    return made


@moves(ClearingPayment.approve)
def approve(*, payment_id: int, by: Person, note: str, now: datetime) -> ClearingPayment:
    """Have a payment booked on both sides that somebody else has asked for. Raises: PaymentRefused."""
    with transaction.atomic(using="desk"):
        made = _waiting(payment_id)
        if made.requested_by_id == by.id:
            raise PaymentRefused("another person has to approve it")
        _check_owed(made)
        with state_history.moving(made, at=now, by=by.name, why=note.strip()):
            made.sign(by, note.strip(), at=now)
            made.approve()
        after_commit(partial(dispatcher.send, TASK), using="desk")
    log.warning("clearing payment approved", payment=made.pk, what=str(made), by=by.name)
    return made


@moves(ClearingPayment.reject)
def reject(*, payment_id: int, by: Person, note: str, now: datetime) -> ClearingPayment:
    """Say no to it; the one who asked withdraws it. Raises: PaymentRefused."""
    if not note.strip():
        raise PaymentRefused("a reason is needed")
    with transaction.atomic(using="desk"):
        made = _waiting(payment_id)
        with state_history.moving(made, at=now, by=by.name, why=note.strip()):
            made.sign(by, note.strip(), at=now)
            made.reject()
    return made


def is_waiting() -> bool:
    """Whether counter has to be told of an approved payment."""
    return ClearingPayment.objects.filter(state=State.APPROVED).exists()


def pay_approved() -> int:
    """Tell counter of every approved payment and book what it has booked; how many were ended.

    One of which counter says nothing certain stays APPROVED, says why, and is told again by the next sweep.
    """
    ended = 0
    for payment in ClearingPayment.objects.filter(state=State.APPROVED).order_by("id"):
        try:
            answer = counter_client.pay_clearing(_message(payment))
        except CounterError as error:
            ClearingPayment.objects.filter(pk=payment.pk, version=payment.version).update(answer=str(error))
            log.warning("counter does not take a clearing payment", payment=payment.pk, error=str(error))
            continue
        try:
            end(payment, answer, now=clock.of("desk").now())
        except MovedMeanwhile:
            continue  # another process has heard the same
        ended += 1
    return ended


def _message(payment: ClearingPayment) -> ClearingPaid:
    return ClearingPaid(
        source=settings.COUNTER_SOURCE,
        reference=payment.reference,
        asset=payment.asset,
        direction=payment.direction,  # type: ignore[arg-type]
        amount=payment.amount,
        requested_by=payment.requested_by,
        approved_by=payment.decided_by,
        payment_id=payment.pk,
    )


@moves(ClearingPayment.book)
@moves(ClearingPayment.refuse)
def end(payment: ClearingPayment, answer: ClearingAnswer, *, now: datetime) -> None:
    """Book what counter has booked, in one transaction with the state, or put down that it refused.

    Raises: MovedMeanwhile.
    """
    with transaction.atomic(using="desk"):
        with state_history.moving(payment, at=now, by=BY, why=answer.refusal):
            if answer.refusal:
                payment.refuse(why=answer.refusal)
            else:
                payment.book(at=now)
        if payment.state == State.BOOKED:
            legs = Legs(now=now, clearing_payment_id=payment.pk)
            legs.add(KIND, payment.asset, debit=CASH, credit=COUNTER, amount=payment.signed)
            legs.post()
    log.warning("clearing payment ended", payment=payment.pk, state=payment.state, why=answer.refusal)


def _check_owed(made: ClearingPayment) -> None:
    if halts.is_held(settings.VENUE):
        raise PaymentRefused("the desk was restored: manage.py after_restore enters what it has forgotten")
    left = owed(made.asset) if made.direction == Direction.TO_DESK else -owed(made.asset)
    if made.amount > left:
        raise PaymentRefused(
            f"{max(left, Decimal(0))} {made.asset} are owed that way by the desk's book, not {made.amount}"
        )


def _waiting(payment_id: int) -> ClearingPayment:
    made = ClearingPayment.objects.select_for_update().get(pk=payment_id)
    if made.state != State.REQUESTED:
        raise PaymentRefused(f"it was decided by {made.decided_by}: {made.state}")
    return made
