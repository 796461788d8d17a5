"""Webhooks in the admin: staff make the exchange's endpoints, see what became of each message, and send it again."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings as configured
from django.contrib.admin.models import LogEntry
from django.utils import timezone
from standardwebhooks import Webhook

from cockpit import snapshot
from cockpit.alerts import alerts
from counter.access import webhook_endpoints
from counter.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from counter.money import accounts
from counter.webhooks import delivering, sending_again, sweeping
from tests.support.factories import make_customer
from tests.support.staff import staff

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

ENDPOINTS, DELIVERIES = "/admin/counter/webhookendpoint/", "/admin/counter/webhookdelivery/"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")


def press(client, where, name, *rows):
    response = client.post(where, {"action": name, "_selected_action": [row.pk for row in rows]}, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def deposit(customer, reference="late"):
    accounts.deposit(customer_id=customer.pk, amount=Decimal(1), reference=reference, now=timezone.now())


def deliver(after=timedelta(0)):
    return delivering.deliver(clock=lambda: timezone.now() + after)


def test_an_operator_makes_an_endpoint_sees_what_fails_and_sends_it_again(receiver):
    operator, customer = staff("olga", role="operator"), make_customer(balance="0")
    page = operator.post(
        ENDPOINTS + "add/", {"url": receiver.url("status/500"), "types": ["deposit.credited"]}
    )
    [secret] = SECRET.findall(page.content.decode())
    assert "no-store" in page["Cache-Control"]
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.customer_id is None
    deposit(customer)
    assert deliver() == 0
    delivery = WebhookDelivery.objects.get()
    seen = operator.get(f"{DELIVERIES}{delivery.pk}/change/").content.decode()
    assert "refused" in seen
    assert "500" in seen
    assert "nein" in seen
    for query, count in (
        ("state=waiting", 1),
        ("state=delivered", 0),
        ("type=deposit.credited", 1),
        ("type=order.settled", 0),
        (f"q={endpoint.public_id}", 1),
        (f"q={delivery.event_id}", 1),
        (f"q={customer.reference}", 1),
        ("q=nobody", 0),
    ):
        listed = operator.get(f"{DELIVERIES}?{query}").content.decode()
        assert (f"{delivery.pk}/change/" in listed) == bool(count), query
    WebhookEndpoint.objects.update(url=receiver.url())
    assert "0 webhooks are sent again" in press(operator, DELIVERIES, "send_again", delivery)
    delivery.refresh_from_db()
    assert delivery.attempts == 1, "it waits, and goes on as it was"
    given_up = timezone.now() + timedelta(days=configured.WEBHOOK_RETRY_DAYS)
    assert sweeping.sweep(now=given_up) == (1, 0)
    assert "1 webhooks are sent again" in press(operator, DELIVERIES, "send_again", delivery)
    delivery.refresh_from_db()
    assert delivery.attempts == 0
    assert deliver() == 1
    assert "1 webhooks are sent again" in press(operator, DELIVERIES, "send_again", delivery)
    assert deliver() == 1
    assert len({each["headers"]["webhook-id"] for each in receiver.got}) == 1
    body = Webhook(secret).verify(receiver.got[-1]["body"], receiver.got[-1]["headers"])
    assert body["customer"] == customer.reference
    assert [each.outcome for each in WebhookAttempt.objects.order_by("pk")] == [
        "refused",
        "delivered",
        "delivered",
    ]


def test_only_so_many_are_sent_again_at_a_time(monkeypatch):
    operator, customer = staff("olga", role="operator"), make_customer(balance="0")
    now = timezone.now()
    webhook_endpoints.register(customer_id=customer.pk, url="https://hook.example.org/", now=now)
    for number in range(3):
        deposit(customer, f"d{number}")
    WebhookDelivery.objects.update(due_at=None, delivered_at=now)
    monkeypatch.setattr(sending_again, "MOST", 2)
    asked = {"action": "send_again", "_selected_action": [1], "select_across": "1"}
    page = operator.post(f"{DELIVERIES}?state=delivered", asked, follow=True).content.decode()
    assert "at most 2 are sent again at a time" in page
    assert not WebhookDelivery.objects.filter(due_at__isnull=False).exists()
    monkeypatch.setattr(sending_again, "MOST", 3)
    page = operator.post(f"{DELIVERIES}?state=delivered", asked, follow=True).content.decode()
    assert "3 webhooks are sent again" in page
    assert LogEntry.objects.filter(change_message__contains="Sent again").count() == 3


def test_an_endpoint_that_is_deleted_under_the_press_is_told_of_and_the_rest_goes_on(monkeypatch):
    operator, customer, now = staff("olga", role="operator"), make_customer(balance="0"), timezone.now()
    gone, left = (
        webhook_endpoints.register(customer_id=customer.pk, url="https://hook.example.org/", now=now).endpoint
        for _ in range(2)
    )
    disable = webhook_endpoints.disable

    def disable_later(*, public_id, **asked):
        if public_id == gone.public_id:
            webhook_endpoints.delete(customer_id=customer.pk, public_id=public_id, now=now)
        return disable(public_id=public_id, **asked)

    monkeypatch.setattr(webhook_endpoints, "disable", disable_later)
    page = press(operator, ENDPOINTS, "disable", gone, left)
    assert f"{gone.public_id} has just been deleted" in page
    assert "1 webhook endpoints were disabled" in page
    assert WebhookEndpoint.objects.get(disabled="staff") == left


def test_what_is_paused_is_kept_and_what_is_disabled_is_not(receiver):
    operator, customer = staff("olga", role="operator"), make_customer(balance="0")
    now = timezone.now()
    endpoint = webhook_endpoints.register(customer_id=customer.pk, url=receiver.url(), now=now).endpoint
    press(operator, ENDPOINTS, "pause", endpoint)
    deposit(customer, "a")
    assert deliver() == 0
    press(operator, ENDPOINTS, "disable", endpoint)
    deposit(customer, "b")
    press(operator, ENDPOINTS, "enable", endpoint)
    long_after = timezone.now() + timedelta(days=configured.WEBHOOK_RETRY_DAYS + 1)
    assert sweeping.sweep(now=long_after) == (0, 0)
    WebhookDelivery.objects.update(retry_until=timezone.now())
    press(operator, ENDPOINTS, "resume", endpoint)
    assert sweeping.sweep(now=timezone.now()) == (0, 0)
    assert deliver() == 1
    press(operator, ENDPOINTS, "end", endpoint)
    deposit(customer, "c")
    assert deliver() == 0
    assert WebhookDelivery.objects.count() == 1


def test_who_looks_presses_nothing_and_nobody_sees_a_customers_secret(receiver):
    viewer, operator = staff("vera", role="viewer"), staff("olga", role="operator")
    now = timezone.now()
    made = webhook_endpoints.register(customer_id=make_customer().pk, url=receiver.url(), now=now)
    ours = webhook_endpoints.register(customer_id=None, url=receiver.url(), now=now)
    assert viewer.get(ENDPOINTS).status_code == viewer.get(DELIVERIES).status_code == 200
    assert viewer.get(ENDPOINTS + "add/").status_code == 403
    press(viewer, ENDPOINTS, "disable", made.endpoint)
    assert viewer.post(f"{ENDPOINTS}{ours.endpoint.pk}/rotate/").status_code == 403
    assert WebhookEndpoint.objects.filter(disabled="", encrypted_previous="").count() == 2
    assert operator.post(f"{ENDPOINTS}{made.endpoint.pk}/rotate/").status_code == 404
    assert operator.get(f"{ENDPOINTS}{ours.endpoint.pk}/rotate/").status_code == 405
    page = operator.get(f"{ENDPOINTS}{made.endpoint.pk}/change/").content.decode()
    assert "Rotate the secret" not in page
    assert made.endpoint.encrypted_secret not in page
    rotated = operator.post(f"{ENDPOINTS}{ours.endpoint.pk}/rotate/").content.decode()
    assert SECRET.findall(rotated)
    assert SECRET.findall(rotated) != [ours.secret]


def test_an_address_that_may_not_be_is_refused_in_the_form(settings):
    settings.WEBHOOK_HTTP = False
    operator = staff("olga", role="operator")
    page = operator.post(ENDPOINTS + "add/", {"url": "http://hook.example.org/"})
    assert "has to begin with https" in page.content.decode()
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    ("owner", "failing", "fires"), [(False, 3, False), (False, 0, True), (True, 3, True)]
)
def test_people_are_told_of_what_is_late_but_not_of_a_customers_dead_receiver(owner, failing, fires):
    customer = make_customer(balance="0")
    now = timezone.now()
    whose = None if owner else customer.pk
    webhook_endpoints.register(customer_id=whose, url="https://hook.example.org/", now=now)
    WebhookEndpoint.objects.update(failures=failing)
    deposit(customer)
    late = timedelta(seconds=configured.WEBHOOK_LATE_AFTER_SECONDS + 5)
    told = {alert.code for alert in alerts(snapshot.read(now=now + late))}
    assert ("webhooks_late" in told) == fires
    assert "webhooks_late" not in {alert.code for alert in alerts(snapshot.read(now=now))}
