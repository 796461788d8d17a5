"""Receivers that fail, are slow or hostile: what becomes of their messages, and that nobody else waits for them."""

import re
import threading
import time
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from counter.access import webhook_endpoints
from counter.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from counter.money import accounts
from counter.webhooks import attempts, delivering, resuming, retries, sweeping, waiting
from infra.coordination.leader import is_held
from infra.db.arrays import array
from tests.support.factories import make_customer, unique
from tests.support.threads import at_once
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def customer():
    return make_customer(balance="0")


def endpoint_of(customer, url):
    return webhook_endpoints.register(customer_id=customer.pk, url=url, now=timezone.now())


def deposit(customer, *, times=1):
    for _ in range(times):
        accounts.deposit(
            customer_id=customer.pk, amount=Decimal(1), reference=unique("deposit"), now=timezone.now()
        )


def deliver(after=timedelta(0), **options):
    return delivering.deliver(clock=lambda: timezone.now() + after, **options)


def last_attempt():
    return WebhookAttempt.objects.order_by("-pk").first()


@pytest.mark.timed
@pytest.mark.parametrize(
    ("way", "outcome", "status", "told"),
    [
        ("status/500", "refused", 500, "nein"),
        ("status/413", "refused", 413, "nein"),
        ("redirect", "refused", 307, "taken"),
        ("mute", "unknown", None, ""),
        ("trickle", "unknown", None, "no whole answer"),
        ("slow/1", "unknown", None, "no whole answer"),
        ("endless", "delivered", 200, "xxx"),
    ],
)
def test_each_way_to_fail_is_an_outcome_and_takes_bounded_time(
    receiver, settings, customer, way, outcome, status, told
):
    settings.WEBHOOK_WITHIN_SECONDS = 0.4
    endpoint_of(customer, receiver.url(way))
    deposit(customer)
    began = time.monotonic()
    deliver()
    assert time.monotonic() - began < 3
    attempt = last_attempt()
    assert (attempt.outcome, attempt.status) == (outcome, status)
    assert told in attempt.told
    assert len(attempt.told) <= 500
    assert len(receiver.got) == 1
    delivery = WebhookDelivery.objects.get()
    assert (delivery.delivered_at is None) == (outcome != "delivered")
    assert (delivery.due_at is None) == (outcome == "delivered")


def test_nobody_there_and_nowhere_to_go_are_refused(here, customer):
    endpoint_of(customer, "http://127.0.0.1:9/")
    endpoint_of(customer, "http://10.0.0.1/")
    deposit(customer)
    deliver()
    told = sorted(WebhookAttempt.objects.values_list("outcome", "told"))
    assert [outcome for outcome, _ in told] == ["refused", "refused"]
    assert "no public address" in told[0][1]


def test_a_message_is_tried_again_later_and_later_under_one_id_until_it_is_taken(receiver, customer):
    made = endpoint_of(customer, receiver.url("status/503"))
    deposit(customer)
    at, gaps = timedelta(0), []
    for _ in range(4):
        assert deliver(at) == 0
        due = WebhookDelivery.objects.get().due_at - timezone.now()
        gaps.append(due - at)
        at = due + timedelta(seconds=1)
    for gap, delay in zip(gaps, retries.DELAYS, strict=False):
        assert delay * 0.75 < gap < delay * 1.25
    WebhookEndpoint.objects.update(url=receiver.url())
    assert deliver(at) == 1
    assert len({each["headers"]["webhook-id"] for each in receiver.got}) == 1
    assert len({each["body"] for each in receiver.got}) == 1
    assert len({each["headers"]["webhook-timestamp"] for each in receiver.got}) > 1
    with pytest.raises(WebhookVerificationError, match="too new"):
        Webhook(made.secret).verify(receiver.got[-1]["body"], receiver.got[-1]["headers"])


def test_retry_after_is_heeded_and_holds_the_endpoint(receiver, customer):
    endpoint_of(customer, receiver.url("later/1800"))
    deposit(customer, times=2)
    deliver()
    tried = len(receiver.got)
    assert tried <= 2
    assert deliver(timedelta(minutes=29)) == 0
    assert len(receiver.got) == tried
    deliver(timedelta(minutes=31))
    assert len(receiver.got) > tried


def test_one_that_is_gone_is_disabled(receiver, customer):
    made = endpoint_of(customer, receiver.url("status/410"))
    deposit(customer)
    deliver()
    made.endpoint.refresh_from_db()
    assert made.endpoint.disabled == "gone"
    deposit(customer)
    assert WebhookDelivery.objects.count() == 1
    assert deliver(timedelta(hours=1)) == 0
    assert len(receiver.got) == 1
    WebhookEndpoint.objects.update(url=receiver.url())
    webhook_endpoints.enable(customer_id=customer.pk, public_id=made.endpoint.public_id)
    assert deliver(timedelta(hours=1)) == 1


@pytest.mark.timed
def test_slow_and_dead_receivers_hold_up_nobody_else(receiver, settings, customer):
    settings.WEBHOOK_WITHIN_SECONDS = 3.0
    others = [make_customer(balance="0") for _ in range(12)]
    for each in others:
        endpoint_of(each, receiver.url("slow/9"))
        deposit(each, times=10)
    endpoint_of(customer, receiver.url())
    deposit(customer, times=20)
    WebhookEndpoint.objects.exclude(customer=customer).update(failures=1)
    running = threading.Thread(target=apart, args=[partial(deliver, for_seconds=5.0)])
    began = time.monotonic()
    running.start()
    while len(receiver.of("ok")) < 20 and time.monotonic() - began < 9:
        time.sleep(0.01)
    took = time.monotonic() - began
    running.join()
    assert len(receiver.of("ok")) == 20
    assert took < settings.WEBHOOK_WITHIN_SECONDS, "before any slow one was given up"
    assert len(receiver.of("slow/9")) <= 2 * len(others)


def test_two_at_once_send_each_message_once(receiver, customer):
    endpoint_of(customer, receiver.url("slow/0.02"))
    deposit(customer, times=30)
    # Past the lock, as when one finishes what is under way while the other goes on.
    at_once([unlocked] * 2)
    ids = [each["headers"]["webhook-id"] for each in receiver.got]
    assert len(ids) == len(set(ids)) == 30
    assert not waiting.ready(now=timezone.now())


def test_no_more_than_two_processes_of_a_worker_wait_for_slow_receivers(receiver, settings, customer):
    settings.WEBHOOK_WITHIN_SECONDS = 30.0
    endpoint_of(customer, receiver.url("slow/5"))
    running = []
    for number in (1, 2):
        deposit(customer)
        running.append(threading.Thread(target=apart, args=[partial(deliver, for_seconds=0.1)]))
        running[-1].start()
        assert wait_until(lambda number=number: len(receiver.got) == number, within_seconds=60)
        assert wait_until(lambda: not is_held(delivering.LOCK, using="default"), within_seconds=60)
    deposit(customer)
    assert deliver() == 0
    assert len(receiver.got) == 2
    for each in running:
        each.join()
    assert deliver() == 1


def unlocked():
    with delivering.ThreadPoolExecutor(4) as threads:
        run = delivering._Run(timezone.now, threads)
        while run.begin() or run.under_way:
            run.await_some(0.1)


def apart(action):
    try:
        action()
    finally:
        connection.close()


def test_one_that_died_between_sending_and_booking_sends_again_under_the_same_id(receiver, customer):
    endpoint_of(customer, receiver.url())
    deposit(customer)
    now = timezone.now()
    [sending] = delivering.prepared(waiting.take({WebhookEndpoint.objects.get().pk: 4}, now=now), now=now)
    attempts.send(sending)
    assert deliver() == 0
    assert deliver(waiting.lease() + timedelta(seconds=1)) == 1
    first, second = receiver.got
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["body"] == second["body"]
    # What the first one would have booked, had it only been slow, changes nothing.
    attempts.book(sending, attempts.AttemptResult(attempts.Outcome.UNKNOWN, None, 5, ""), now=timezone.now())
    delivery = WebhookDelivery.objects.get()
    assert delivery.delivered_at is not None
    assert delivery.due_at is None


def test_an_endpoint_that_is_deleted_while_its_message_is_under_way_gets_no_other(receiver, customer):
    made = endpoint_of(customer, receiver.url("status/500"))
    deposit(customer, times=2)
    now = timezone.now()
    [sending] = delivering.prepared(waiting.take({made.endpoint.pk: 1}, now=now), now=now)
    webhook_endpoints.delete(customer_id=customer.pk, public_id=made.endpoint.public_id, now=now)
    attempts.book(sending, attempts.send(sending), now=now)
    assert deliver(timedelta(hours=1)) == 0
    assert len(receiver.got) == 1
    assert sweeping.sweep(now=timezone.now()) == (2, 0)
    assert not WebhookDelivery.objects.filter(due_at__isnull=False).exists()


def test_a_rotated_secret_signs_beside_the_one_before_and_then_alone(receiver, settings, customer):
    made = endpoint_of(customer, receiver.url("status/500"))
    deposit(customer)
    deliver()
    rotated = webhook_endpoints.rotate(
        customer_id=customer.pk, public_id=made.endpoint.public_id, now=timezone.now()
    )
    deliver(timedelta(seconds=60))
    before, between = receiver.got
    later = {**between["headers"], "webhook-timestamp": between["headers"]["webhook-timestamp"]}
    for secret in (made.secret, rotated.secret):
        Webhook(secret).verify(between["body"], later)
    with pytest.raises(WebhookVerificationError, match="No matching"):
        Webhook(rotated.secret).verify(before["body"], before["headers"])
    assert len(between["headers"]["webhook-signature"].split()) == 2
    deliver(timedelta(hours=25))
    assert len(receiver.got[-1]["headers"]["webhook-signature"].split()) == 1


def test_what_is_too_old_is_given_up_and_forgotten_a_month_later(receiver, settings, customer):
    endpoint_of(customer, receiver.url("status/500"))
    deposit(customer)
    deliver()
    days = timedelta(days=settings.WEBHOOK_RETRY_DAYS)
    assert sweeping.sweep(now=timezone.now() + days - timedelta(minutes=1)) == (0, 0)
    assert sweeping.sweep(now=timezone.now() + days) == (1, 0)
    assert deliver(days) == 0
    kept = timedelta(days=settings.WEBHOOK_KEEP_DAYS, minutes=6)
    assert sweeping.sweep(now=timezone.now() + kept) == (0, 1)
    assert not WebhookAttempt.objects.exists()


def test_all_that_is_over_goes_in_one_sweep_and_no_longer_than_it_may_take(receiver, monkeypatch, customer):
    made = endpoint_of(customer, receiver.url())
    fill(made.endpoint, 10)
    monkeypatch.setattr(sweeping, "CHUNK", 3)
    later = timezone.now() + timedelta(days=100)
    assert sweeping.sweep(now=later, for_seconds=0) == (3, 3), "one chunk, if there is no time"
    assert sweeping.sweep(now=later) == (7, 7)
    assert not WebhookDelivery.objects.exists()


def test_of_a_paused_endpoint_nothing_is_given_up_and_all_is_tried_from_its_resuming_on(
    receiver, settings, monkeypatch, customer
):
    monkeypatch.setattr(resuming, "CHUNK", 2)
    made = endpoint_of(customer, receiver.url())
    fill(made.endpoint, 5)
    WebhookEndpoint.objects.update(paused_at=timezone.now())
    later = timezone.now() + timedelta(days=20)
    assert sweeping.sweep(now=later) == (0, 0)
    resuming.resume([made.endpoint.pk], now=later)
    until = later + timedelta(days=settings.WEBHOOK_RETRY_DAYS)
    assert set(WebhookDelivery.objects.values_list("retry_until", flat=True)) == {until}
    assert sweeping.sweep(now=later) == (0, 0)
    assert deliver(timedelta(days=20)) == 5
    WebhookEndpoint.objects.update(paused_at=later, deleted_at=later)
    fill(made.endpoint, 2, beginning=10**9 + 5)
    assert sweeping.sweep(now=later) == (2, 0), "what is deleted is not kept for having been paused"


def test_a_body_of_any_letters_is_signed_as_it_is_sent(receiver, customer):
    made = endpoint_of(None or customer, receiver.url())
    deposit(customer)
    WebhookDelivery.objects.update(
        body='{"type": "deposit.credited", "data": "Zoë 🜚 \\u0000"}', event_id="evt_1"
    )
    assert deliver() == 1
    [message] = receiver.got
    assert Webhook(made.secret).verify(message["body"], message["headers"])["data"] == "Zoë 🜚 \x00"


def test_one_that_cannot_be_signed_is_an_attempt_and_is_tried_later_and_later(receiver, settings, customer):
    endpoint_of(customer, receiver.url())
    deposit(customer)
    right, settings.API_KEYS_SECRET = settings.API_KEYS_SECRET, "another" * 8
    at = timedelta(0)
    for number in (1, 2):
        assert deliver(at) == 0
        attempt = last_attempt()
        assert (attempt.number, attempt.outcome) == (number, "unknown")
        assert "cannot be signed" in attempt.told
        due = WebhookDelivery.objects.get().due_at - timezone.now()
        assert retries.DELAYS[number - 1] * 0.75 < due - at < retries.DELAYS[number - 1] * 1.25
        assert deliver(due - timedelta(seconds=1)) == 0
        assert WebhookAttempt.objects.count() == number
        at = due + timedelta(seconds=1)
    assert WebhookEndpoint.objects.get().failures == 2
    settings.API_KEYS_SECRET = right
    assert deliver(at) == 1
    assert len(receiver.got) == 1


def test_one_that_cannot_be_made_is_an_attempt_and_holds_up_no_other(receiver, customer):
    endpoint_of(customer, receiver.url())
    deposit(customer, times=3)
    unknown, missing, _ = WebhookDelivery.objects.order_by("pk").values_list("pk", flat=True)
    WebhookDelivery.objects.filter(pk=unknown).update(type="of.the.next.release")
    WebhookDelivery.objects.filter(pk=missing).update(subject_id=10**12)
    assert deliver() == 1
    tried = WebhookAttempt.objects.exclude(outcome="delivered").filter(delivery__in=[unknown, missing])
    assert set(tried.values_list("delivery", "outcome", "told")) == {
        (unknown, "unknown", "cannot be made"),
        (missing, "unknown", "cannot be made"),
    }
    assert len(receiver.got) == 1


def test_ten_thousand_messages_for_a_dead_receiver_cost_nobody_anything(receiver, customer):
    dead = endpoint_of(make_customer(balance="0"), receiver.url("status/500"))
    endpoint_of(customer, receiver.url())
    fill(dead.endpoint, 10_000)
    deposit(customer)
    WebhookEndpoint.objects.filter(pk=dead.endpoint.pk).update(failures=50, failing_since=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE counter_webhookdelivery, counter_webhookendpoint")
        now = timezone.now()
        for sql, parameters in (
            (waiting.READY, [2000, now, now]),
            (
                waiting.TAKE,
                {"endpoints": array([dead.endpoint.pk]), "most": array([4]), "now": now, "until": now},
            ),
        ):
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + sql, parameters)
            plan = "\n".join(row for (row,) in cursor.fetchall())
            assert "Seq Scan on counter_webhookdelivery" not in plan, plan
            assert "webhook_delivery_due" in plan, plan
        cursor.execute("EXPLAIN (COSTS OFF) " + sweeping.GIVE_UP, [now, now, 5000, 5000])
        plan = "\n".join(row for (row,) in cursor.fetchall())
        assert re.search(r"Index Cond: \(\(endpoint_id = e\.id\) AND \(retry_until < CASE", plan), plan
    assert deliver() == 1
    assert len(receiver.of("status/500")) == 1


def fill(endpoint, count, *, beginning=10**9):
    now = timezone.now()
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            type="deposit.credited",
            subject_id=number,
            endpoint=endpoint,
            customer_id=endpoint.customer_id,
            event_id=f"evt_{number}",
            body="{}",
            happened_at=now,
            due_at=now,
            retry_until=now + timedelta(days=5),
        )
        for number in range(beginning, beginning + count)
    )
