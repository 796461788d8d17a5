"""Clearing is paid: by two people, once on each side, and audit and reconciliation see it wherever it stands."""

from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from msgspec import structs

import audit
from acceptance import counter_client
from counter.models import ClearingPayment as AtCounter
from counter.money import clearing_payments as counters
from settlement.book.chart import CASH, COUNTER, USDT
from settlement.book.legs import Legs
from settlement.counter_link import clearing_payments
from settlement.counter_link.clearing_payments import PaymentRefused
from settlement.interventions.terms import Refused
from settlement.models import ClearingPayment, DeskTransfer, ReconciliationBreak
from settlement.reconciliation.clearing import OF_NO_ORDER
from tests.support.clearing import approved, ask_to_pay, owe
from tests.support.desk_bench import book_balances
from tests.support.people import ANN, BOB, ask_for
from tests.support.staff import staff
from tests.support.tampering import tampered

State = ClearingPayment.State
GIFT = """INSERT INTO counter_transfer (debit_account_id, credit_account_id, asset, amount, kind, created_at)
          VALUES (3, 1, 'USDT', 5, 'gift', now())"""


def findings(venue, *, broken: bool) -> set[str]:
    report = audit.run(now=timezone.now(), venue=venue)
    lists = [result.broken if broken else result.in_flight for result in report.results]
    return {finding.what for found in lists for finding in found.listed}


def balances() -> tuple[Decimal, Decimal, Decimal]:
    """What counter owes by its own book and by the desk's, and the desk's cash."""
    return counters.owed(), clearing_payments.owed(USDT), book_balances().get((CASH, USDT), Decimal(0))


def test_what_is_owed_is_paid_by_two_people_and_stands_in_both_books(past, run, venue):
    before, mirror, _ = balances()
    assert before == mirror != 0
    sign = 1 if before > 0 else -1
    payment = ask_to_pay("1.5")
    assert payment.direction == ("to_desk" if before > 0 else "to_counter")
    assert clearing_payments.pay_approved() == 0
    assert balances() == (before, before, 0)

    clearing_payments.approve(payment_id=payment.pk, by=BOB, note="seen", now=timezone.now())
    assert (clearing_payments.pay_approved(), clearing_payments.pay_approved()) == (1, 0)
    paid = sign * Decimal("1.5")
    assert balances() == (before - paid, before - paid, paid)
    payment.refresh_from_db()
    assert (payment.state, payment.decided_by) == (State.BOOKED, "bob")
    assert (AtCounter.objects.get().requested_by, AtCounter.objects.get().approved_by) == ("ann", "bob")
    assert findings(venue, broken=True) == set()
    assert (run().found, run().open) == (0, 0)


def test_one_person_does_not_pay_alone(past):
    payment = ask_to_pay("1")
    with pytest.raises(PaymentRefused, match="another person"):
        clearing_payments.approve(payment_id=payment.pk, by=ANN, note="", now=timezone.now())
    with pytest.raises(DatabaseError), transaction.atomic(using="desk"):
        ClearingPayment.objects.update(
            state="APPROVED", decided_by_id=ANN.id, decided_by="ann", decided_at=timezone.now()
        )
    clearing_payments.reject(payment_id=payment.pk, by=ANN, note="a slip", now=timezone.now())
    payment.refresh_from_db()
    assert payment.state == State.REJECTED
    with pytest.raises(DatabaseError, match="keeps what was asked"), transaction.atomic(using="desk"):
        ClearingPayment.objects.update(amount=2)


def test_no_more_is_paid_than_is_owed_and_one_at_a_time(past):
    with pytest.raises(PaymentRefused, match="are owed that way"):
        ask_to_pay("1000000000")
    with pytest.raises(PaymentRefused, match="6 decimals"):
        ask_to_pay("0.0000001")
    ask_to_pay("1")
    with pytest.raises(PaymentRefused, match="is open"):
        ask_to_pay("1", "bank-2")


def test_a_reference_is_paid_once(past):
    approved("1")
    clearing_payments.pay_approved()
    with pytest.raises(PaymentRefused, match="booked already"):
        ask_to_pay("1")
    assert AtCounter.objects.count() == 1


def test_a_counter_that_is_away_is_told_again(past, venue, settings):
    before, *_ = balances()
    url, settings.COUNTER_URL = settings.COUNTER_URL, "http://127.0.0.1:1"
    payment = approved("1")
    assert clearing_payments.pay_approved() == 0
    payment.refresh_from_db()
    assert (payment.state, "clearing-payments" in payment.answer) == (State.APPROVED, True)
    assert balances()[:2] == (before, before)
    settings.COUNTER_URL = url
    assert clearing_payments.pay_approved() == 1
    assert findings(venue, broken=True) == set()


def test_what_counter_has_booked_and_the_desk_not_yet_is_in_flight(past, run, venue):
    payment = approved("1")
    counter_client.pay_clearing(clearing_payments._message(payment))
    assert findings(venue, broken=True) == set()
    assert "clearing payment is booked at counter only" in findings(venue, broken=False)
    assert run().found == 0
    assert clearing_payments.pay_approved() == 1
    assert "clearing payment is booked at counter only" not in findings(venue, broken=False)
    assert (run().found, AtCounter.objects.count()) == (0, 1)


@pytest.mark.parametrize("at_counter", [False, True])
def test_a_payment_that_is_on_its_way_hides_no_other_break(past, run, venue, at_counter):
    payment = approved("20")
    if at_counter:
        counter_client.pay_clearing(clearing_payments._message(payment))
    with connection.cursor() as cursor:
        cursor.execute(GIFT)
    assert run().found == 1
    row = ReconciliationBreak.objects.get(state="OPEN")
    assert (row.what, row.amount) == (OF_NO_ORDER, 5)
    with pytest.raises(Refused, match=r"clearing payment is approved|now differs by"):
        ask_for(row, "write_off", venue)
    assert clearing_payments.pay_approved() == 1
    assert run().open == 1
    row.refresh_from_db()
    assert (row.state, row.amount) == ("OPEN", 5)
    ask_for(row, "write_off", venue)


def test_what_the_desk_has_just_booked_hides_no_other_break(past, run, settings):
    settings.RECONCILE_GRACE_SECONDS = 3600
    approved("20")
    clearing_payments.pay_approved()
    assert run().found == 0
    with tampered("default", "counter_transfer", GIFT):
        run()
        assert ReconciliationBreak.objects.get(state="OPEN").amount == 5


def believe_in(amount: Decimal) -> None:
    """The desk alone is owed so much more."""
    legs = Legs(now=timezone.now())
    legs.add("test", USDT, debit=COUNTER, credit=CASH, amount=amount)
    legs.post()


def test_what_counter_refuses_is_booked_nowhere_until_it_is_stated_again_and_owed(past, venue):
    owed = clearing_payments.owed(USDT)
    believe_in(owed)
    payment = approved(str(abs(owed) + 1))
    assert clearing_payments.pay_approved() == 1
    payment.refresh_from_db()
    assert (payment.state, "are owed that way" in payment.answer) == (State.REFUSED, True)
    assert not DeskTransfer.objects.filter(clearing_payment_id=payment.pk).exists()
    assert counters.owed() == owed
    # The first answer is the answer: the same again is refused though it would be owed now.
    owe(Decimal(5) if owed > 0 else Decimal(-5))
    assert counter_client.pay_clearing(clearing_payments._message(payment)).refusal == payment.answer
    believe_in(-owed)
    # Stated again it is another payment of the same reference: booked, and both keep their answers.
    again = approved(str(abs(owed) + 1))
    assert clearing_payments.pay_approved() == 1
    again.refresh_from_db()
    assert (again.state, again.reference) == (State.BOOKED, payment.reference)
    for told, refusal in ((payment, payment.answer), (again, "")):
        assert counter_client.pay_clearing(clearing_payments._message(told)).refusal == refusal
    assert AtCounter.objects.filter(refusal="").count() == 1
    with pytest.raises(PaymentRefused, match="booked already"):
        ask_to_pay("1")
    assert not {what for what in findings(venue, broken=True) if "payment" in what}


def test_a_release_without_the_payments_id_is_understood_and_books_no_reference_twice(past):
    payment = approved("1")
    message = clearing_payments._message(payment)
    old = structs.replace(message, payment_id=None)
    first = counter_client.pay_clearing(old)
    assert first.refusal == ""
    for told in (old, message, structs.replace(message, payment_id=payment.pk + 1)):
        assert counter_client.pay_clearing(told) == first
    other = structs.replace(message, payment_id=payment.pk + 1, amount=Decimal(2))
    assert "another payment" in counter_client.pay_clearing(other).refusal
    assert AtCounter.objects.count() == 1

    too_much = structs.replace(old, reference="bank-2", amount=Decimal(10**9))
    refused = counter_client.pay_clearing(too_much)
    assert "are owed that way" in refused.refusal
    assert counter_client.pay_clearing(too_much) == refused
    assert AtCounter.objects.count() == 2
    # With an id it is another payment of this reference, which is judged by what is owed now.
    owed_now = structs.replace(too_much, payment_id=payment.pk + 2, amount=Decimal(1))
    assert counter_client.pay_clearing(owed_now).refusal == ""
    assert counter_client.pay_clearing(too_much).refusal != ""


def test_a_desk_that_pays_is_the_same_the_other_way(two_systems, live_server, settings):
    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    owe(Decimal(-10))
    approved("10")
    assert clearing_payments.pay_approved() == 1
    assert balances() == (0, 0, -10)


def test_pages_lead_an_operator_and_an_approver_through_it_and_nobody_else(past):
    operator, approver = staff("olga", role="operator"), staff("anton", role="approver")
    viewer = staff("vera", role="viewer")
    rows, pay = (
        reverse("admin:settlement_clearingpayment_changelist"),
        reverse("admin:settlement_clearingpayment_pay"),
    )
    said = {"asset": "USDT", "amount": "1.5", "reference": "bank-7", "reason": "November"}
    assert "Pay clearing" in operator.get(rows).content.decode()
    assert "Pay clearing" not in viewer.get(rows).content.decode()
    assert (viewer.post(pay, said).status_code, approver.post(pay, said).status_code) == (403, 403)
    too_much = operator.post(pay, {**said, "amount": "100000000"}).content.decode()
    assert "are owed that way" in too_much
    assert "Another person has to approve it now" in operator.post(pay, said, follow=True).content.decode()
    made = ClearingPayment.objects.get()
    decide = reverse("admin:settlement_clearingpayment_decide", args=[made.pk])
    assert operator.post(decide, {"decision": "approve"}).status_code == 403
    shown = approver.get(reverse("admin:settlement_clearingpayment_change", args=[made.pk])).content.decode()
    assert "bank-7" in shown
    assert "owe" in shown
    assert "It is approved" in approver.post(decide, {"decision": "approve"}, follow=True).content.decode()
    clearing_payments.pay_approved()
    made.refresh_from_db()
    assert made.state == State.BOOKED
    assert "bank-7" in viewer.get(reverse("admin:counter_clearingpayment_changelist")).content.decode()


FORGOTTEN = "DELETE FROM settlement_clearingpayment"
NEVER = "DELETE FROM counter_clearingpayment"
OTHER = "UPDATE counter_clearingpayment SET amount = amount + 1"
STRAY = "UPDATE settlement_desktransfer SET clearing_payment_id = NULL WHERE clearing_payment_id IS NOT NULL"


@pytest.mark.parametrize(
    ("alias", "table", "change", "what"),
    [
        ("desk", "settlement_clearingpayment", FORGOTTEN, "clearing payment is not at the desk"),
        ("default", "counter_clearingpayment", NEVER, "clearing payment was never booked at counter"),
        ("default", "counter_clearingpayment", OTHER, "clearing payment differs"),
        ("desk", "settlement_desktransfer", STRAY, "clearing payment is not booked as it was made"),
    ],
)
def test_the_audit_finds_a_payment_that_only_one_side_has(past, venue, alias, table, change, what):
    approved("1")
    clearing_payments.pay_approved()
    with tampered(alias, table, change):
        assert what in findings(venue, broken=True)
    assert findings(venue, broken=True) == set()
