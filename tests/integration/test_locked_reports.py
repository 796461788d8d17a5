"""One order or account that somebody holds keeps no other settlement from being taken, and is told again by itself."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from counter.contracts import SettlementReport
from counter.models import Account, SyncOrder
from counter.orders import outbox
from counter.orders.settlements import take_reports
from tests.support.databases import conninfo, held_account
from tests.support.factories import make_customer, make_option, place_close, place_open

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)


def report_of(order):
    return SettlementReport(
        order_id=order.id,
        conversion_id=7,
        price=Decimal("90001.5"),
        value=order.fair,
        fee=Decimal("0.01"),
        due=order.fair,
        settled_at=NOW,
    )


@pytest.fixture
def option():
    return make_option(now=NOW)


def at_fill(option):
    """A customer with a close that waits for its payout, and that close."""
    customer = make_customer(now=NOW)
    opened = place_open(customer, option, now=NOW)
    return customer, place_close(opened, payout="at_fill", now=NOW)


def states(*orders):
    return [SyncOrder.objects.get(pk=order.id).state for order in orders]


def test_a_held_account_keeps_no_other_payout_waiting_and_is_paid_once_it_is_free(option):
    held_customer, held = at_fill(option)
    other_customer, other = at_fill(option)
    before = {row.customer_id: row.balance for row in Account.objects.filter(customer__isnull=False)}
    reports = [report_of(held), report_of(other)]

    with held_account(held_customer.pk):
        answer = take_reports(reports=reports, now=LATER)
    assert (answer.taken, answer.refused, answer.held) == ([other.id], [], [held.id])
    assert states(held, other) == ["PENDING", "SETTLED"]

    answer = take_reports(reports=reports, now=LATER)
    assert (answer.taken, answer.refused, answer.held) == (sorted([held.id, other.id]), [], [])
    for customer, order in ((held_customer, held), (other_customer, other)):
        assert Account.objects.get(customer=customer).balance == before[customer.pk] + order.fair


def test_an_instant_order_of_a_held_account_is_settled_since_it_moves_no_money(option):
    customer, held = at_fill(option)
    opened = place_open(customer, option, now=NOW)
    with held_account(customer.pk):
        answer = take_reports(reports=[report_of(held), report_of(opened)], now=LATER)
    assert (answer.taken, answer.held) == ([opened.id], [held.id])


def test_a_held_order_keeps_no_other_report_and_no_acknowledgement_waiting(option):
    customer = make_customer(now=NOW)
    held, other = (place_open(customer, option, now=NOW) for _ in range(2))
    with psycopg.connect(conninfo("default")) as console:
        console.execute("SELECT 1 FROM counter_syncorder WHERE id = %s FOR UPDATE", [held.id])
        assert outbox.acknowledge(order_ids=[held.id, other.id], now=LATER) == 1
        answer = take_reports(reports=[report_of(held), report_of(other)], now=LATER)
    assert (answer.taken, answer.refused, answer.held) == ([other.id], [], [held.id])
    assert states(held, other) == ["PENDING", "SETTLED"]


def test_an_unknown_order_is_refused_beside_a_held_one(option):
    customer, held = at_fill(option)
    unknown = SettlementReport(10**12, 7, Decimal(1), Decimal(1), Decimal(0), Decimal(1), NOW)
    with held_account(customer.pk):
        answer = take_reports(reports=[report_of(held), unknown], now=LATER)
    assert (answer.taken, answer.refused, answer.held) == ([], [10**12], [held.id])
