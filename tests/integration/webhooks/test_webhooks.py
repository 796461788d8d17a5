"""Webhooks from the transaction that makes an event true to the receiver: what is said, who hears it, who signed it."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from standardwebhooks import Webhook

from counter.access import webhook_endpoints
from counter.contracts import SettlementReport
from counter.models import WebhookAttempt, WebhookDelivery
from counter.money import accounts, withdrawals
from counter.orders.settlements import take_reports
from counter.webhooks import delivering
from counter.webhooks.lateness import endpoints_waiting
from tests.support.api import Caller
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.public_ids import order_id, row

pytestmark = pytest.mark.django_db(transaction=True)


def endpoint_of(customer, url, **asked):
    """An endpoint and its secret."""
    made = webhook_endpoints.register(
        customer_id=customer and customer.pk, url=url, now=timezone.now(), **asked
    )
    return made.endpoint, made.secret


def deliver(*, after=timedelta(0)):
    """Everything that is due, as if so much later."""
    return delivering.deliver(clock=lambda: timezone.now() + after)


def settle(*orders, now=None):
    now = now or timezone.now()
    reports = [
        SettlementReport(order.id, 7, Decimal("90001.5"), order.fair, Decimal("0.01"), order.fair, now)
        for order in orders
    ]
    assert take_reports(reports=reports, now=now).taken == sorted(order.id for order in orders)


def verified(message, secret):
    return Webhook(secret).verify(message["body"], message["headers"])


def told(receiver, path="ok"):
    return [json.loads(each["body"]) for each in receiver.of(path)]


def test_a_customer_hears_of_their_order_what_the_api_says_of_it(receiver):
    customer, other = make_customer(), make_customer()
    _, secret = endpoint_of(customer, receiver.url())
    endpoint_of(other, receiver.url("status/200"))
    order = place_open(customer, make_option())
    settle(order)
    assert deliver() == 1
    [message] = receiver.got
    body = verified(message, secret)
    assert set(body) == {"type", "timestamp", "data"}
    assert body["type"] == "order.settled"
    assert body["data"] == Caller(customer).get(f"orders/{order_id(order.id)}").json()
    assert body["data"]["state"] == "settled"
    assert message["headers"]["webhook-id"].startswith("evt_")
    delivery = WebhookDelivery.objects.get()
    assert (delivery.attempts, delivery.due_at, delivery.last_status) == (1, None, 204)
    assert WebhookAttempt.objects.get().outcome == "delivered"
    assert deliver() == 0


def test_where_nothing_is_due_one_thing_is_asked_and_nothing_locked(receiver):
    customer = make_customer()
    endpoint_of(customer, receiver.url("status/500"))
    settle(place_open(customer, make_option()))
    assert deliver() == 0
    assert WebhookDelivery.objects.get().attempts == 1
    with CaptureQueriesContext(connection) as asked:
        assert deliver() == 0  # it is tried again later
    assert len(asked) == 1
    assert "pg_try_advisory_lock" not in asked[0]["sql"]
    deliver(after=timedelta(hours=1))
    assert WebhookDelivery.objects.get().attempts == 2


def test_each_kind_of_event_is_told_once(receiver):
    customer = make_customer()
    endpoint_of(customer, receiver.url())
    now = timezone.now()
    accounts.deposit(customer_id=customer.pk, amount=Decimal("12.5"), reference="d", now=now)
    accounts.deposit(customer_id=customer.pk, amount=Decimal("12.5"), reference="d", now=now)
    for reference, end in (("w-1", withdrawals.confirm), ("w-2", withdrawals.release)):
        withdrawals.reserve(customer_id=customer.pk, amount=Decimal(5), reference=reference, now=now)
        end(reference=reference, now=now)
        end(reference=reference, now=now)
    option = make_option()
    opened, at_fill = place_open(customer, option, contracts=3), place_open(customer, option, contracts=3)
    close = place_close(opened)
    late = place_close(at_fill, payout="at_fill")
    settle(opened, at_fill, close, late, now=now)
    settle(opened, at_fill, close, late, now=now)
    while deliver():
        pass
    seen = sorted((body["type"], row(body["data"]["id"])) for body in told(receiver))
    orders = [(each, "order.settled") for each in (opened, at_fill, close, late)]
    orders += [(close, "payout.credited"), (late, "payout.credited")]
    assert [each for each in seen if each[0] in ("order.settled", "payout.credited")] == sorted(
        (name, order.id) for order, name in orders
    )
    assert [name for name, _ in seen if name not in ("order.settled", "payout.credited")] == [
        *("deposit.credited", "withdrawal.confirmed", "withdrawal.released"),
        *("withdrawal.reserved", "withdrawal.reserved"),
    ]
    [entry] = [body["data"] for body in told(receiver) if body["type"] == "deposit.credited"]
    caller = Caller(customer)
    ledger = caller.get("ledger", limit=500).json()["results"]
    assert entry in ledger
    paid = {
        row(body["data"]["id"]): body["data"]["proceeds"]
        for body in told(receiver)
        if "payout" in body["type"]
    }
    assert Decimal(paid[close.id]) == close.amount
    assert Decimal(paid[late.id]) == late.fair
    withdrawn = caller.get("withdrawals").json()["results"]
    ends = [body["data"] for body in told(receiver) if body["type"] == "withdrawal.released"]
    assert ends == [row for row in withdrawn if row["state"] == "released"]


def test_the_exchange_hears_of_all_customers_and_who_they_are(receiver):
    _, secret = endpoint_of(None, receiver.url(), types=["deposit.credited"])
    customers = [make_customer(), make_customer()]
    place_open(customers[0], make_option())
    deliver()
    bodies = [verified(message, secret) for message in receiver.got]
    assert {body["customer"] for body in bodies} == {customer.reference for customer in customers}
    assert {body["type"] for body in bodies} == {"deposit.credited"}


def test_while_their_user_is_deactivated_a_customer_hears_nothing(receiver):
    customer, other = make_customer(balance="0"), make_customer(balance="0")
    endpoint_of(customer, receiver.url())
    endpoint_of(other, receiver.url("status/200"))
    endpoint_of(None, receiver.url("slow/0"))
    customer.user.is_active = False
    customer.user.save()
    for each in (customer, other):
        accounts.deposit(customer_id=each.pk, amount=Decimal(1), reference=each.reference, now=timezone.now())
    assert deliver() == 3
    assert receiver.of("ok") == []
    late = {each for each in endpoints_waiting() if each.endpoints}
    assert late == set(), "and nobody is told that it is late"
    customer.user.is_active = True
    customer.user.save()
    assert deliver() == 1
    assert len(receiver.of("ok")) == 1


def test_what_is_rolled_back_is_told_to_nobody(receiver):
    customer = make_customer()
    endpoint_of(customer, receiver.url())
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        accounts.deposit(customer_id=customer.pk, amount=Decimal(1), reference="r", now=timezone.now())
        raise RuntimeError
    assert deliver() == 0
    assert receiver.got == []


def test_without_endpoints_nothing_is_written():
    customer = make_customer()
    order = place_open(customer, make_option())
    settle(order, place_close(order))
    assert not WebhookDelivery.objects.exists()
