"""Delivering what is due, for a while: calls on threads, everything of the database on the caller's.

One slow or dead receiver holds up no other: each has few calls at a time, those that fail or are slow one, and all of
those together half of the threads.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime

import structlog
from django.db import DatabaseError, InterfaceError

from counter.access.sealing import SecretUnreadable
from counter.access.webhook_endpoints import secrets_of
from counter.models import WebhookDelivery
from counter.webhooks import attempts, waiting
from counter.webhooks.attempts import AttemptResult, Outcome, Sending
from counter.webhooks.messages import bodies, event_id
from infra.coordination.leader import first_free

log = structlog.get_logger(__name__)

THREADS = 32
FOR_THE_DOUBTFUL = THREADS // 2
OF_EACH_ENDPOINT = 4
LOOK_EVERY_SECONDS = 0.25
# Shorter than a worker is given to end.
WORK_SECONDS = 5.0
LOCK = "webhooks"
# A run waits for its slow receivers when the next one has begun. A worker has few processes and orders go first, so
# that no more of them than this ever wait for strangers.
RUNS = ("webhook run 1", "webhook run 2")


def deliver(*, clock: Callable[[], datetime], for_seconds: float = WORK_SECONDS) -> int:
    """Deliver what is due until nothing is, or for so long, unless another process is at it; how many were delivered.

    What is under way then is waited for, while another process may go on. Nothing is locked where nothing is due, which
    is so of most of the thousands of runs a day.
    """
    if not waiting.ready(now=clock()):
        return 0
    with first_free(RUNS, using="default") as place:
        if place is None:
            return 0
        with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as threads:
            run = _Run(clock, threads)
            with first_free([LOCK], using="default") as held:
                if held is None:
                    return 0
                ends_at = time.monotonic() + for_seconds
                while time.monotonic() < ends_at and (run.begin() or run.under_way):
                    run.await_some(LOOK_EVERY_SECONDS)
            while run.under_way:
                run.await_some(None)
    return run.delivered


class _Run:
    """Calls under way, by endpoint."""

    def __init__(self, clock: Callable[[], datetime], threads: ThreadPoolExecutor) -> None:
        self.under_way: dict[Future[AttemptResult], Sending] = {}
        self.delivered = 0
        self._clock = clock
        self._threads = threads
        self._doubtful: set[int] = set()

    def begin(self) -> int:
        """Take what is due and begin to send it, as far as there are threads; how much."""
        now = self._clock()
        most = self._most(waiting.ready(now=now))
        sendings = prepared(waiting.take(most, now=now), now=now)
        for sending in sendings:
            self.under_way[self._threads.submit(attempts.send, sending)] = sending
        return len(sendings)

    def _most(self, ready: Sequence[waiting.Ready]) -> dict[int, int]:
        """How many messages each endpoint may get now."""
        calls = Counter(sending.endpoint_id for sending in self.under_way.values())
        free = THREADS - calls.total()
        doubtful = FOR_THE_DOUBTFUL - sum(calls[endpoint] for endpoint in self._doubtful)
        most = {}
        for endpoint_id, is_doubtful in random.sample(ready, len(ready)):  # none is always the last
            (self._doubtful.add if is_doubtful else self._doubtful.discard)(endpoint_id)
            share = (1 if is_doubtful else OF_EACH_ENDPOINT) - calls[endpoint_id]
            share = min(share, free, doubtful if is_doubtful else free)
            if share > 0:
                most[endpoint_id] = share
                free -= share
                doubtful -= share if is_doubtful else 0
        return most

    def await_some(self, seconds: float | None) -> None:
        """Wait until a call ends, no longer than that, and book those that have ended."""
        done, _ = wait(self.under_way, timeout=seconds, return_when=FIRST_COMPLETED)
        for future in done:
            sending, result = self.under_way.pop(future), future.result()
            attempts.book(sending, result, now=self._clock())
            self.delivered += result.outcome == Outcome.DELIVERED


def prepared(delivery_ids: Sequence[int], *, now: datetime) -> list[Sending]:
    """Taken deliveries as they are sent; what each says is made and stored when it is sent for the first time.

    One that cannot be made or signed is booked as an attempt, so that it too is tried later and later.
    """
    rows = WebhookDelivery.objects.filter(pk__in=delivery_ids).select_related("endpoint", "customer")
    deliveries = list(rows.order_by("happened_at", "pk"))
    fresh = [delivery for delivery in deliveries if not delivery.body]
    told = {row.pk: row.customer.reference for row in fresh if row.endpoint.customer_id is None}
    made = _made(fresh, told)
    for delivery in fresh:
        delivery.body = made.get(delivery.pk, "")
        delivery.event_id = event_id(delivery.type, delivery.subject_id)
    WebhookDelivery.objects.bulk_update(
        [delivery for delivery in fresh if delivery.body], ["body", "event_id"]
    )
    there = [delivery for delivery in deliveries if delivery.endpoint.deleted_at is None]
    return [sending for delivery in there if (sending := _sending(delivery, now))]


def _made(fresh: Sequence[WebhookDelivery], told: Mapping[int, str]) -> dict[int, str]:
    """Their bodies; one that cannot be made, as of a type that only the next release knows, holds up no other."""
    try:
        return bodies(fresh, customers=told)
    except (DatabaseError, InterfaceError):
        raise
    except Exception:
        log.exception("a webhook cannot be made")
        if len(fresh) == 1:
            return {}
    return {key: body for delivery in fresh for key, body in _made([delivery], told).items()}


def _sending(delivery: WebhookDelivery, now: datetime) -> Sending | None:
    endpoint = delivery.endpoint
    secrets: list[str] = []
    why_not = "" if delivery.body else "cannot be made"
    try:
        secrets = secrets_of(endpoint, now=now)
    except SecretUnreadable:
        why_not = why_not or "cannot be signed"
    sending = Sending(
        delivery_id=delivery.pk,
        number=delivery.attempts,
        endpoint_id=endpoint.pk,
        url=endpoint.url,
        event_id=delivery.event_id,
        body=delivery.body,
        at=now,
        secrets=secrets,
    )
    if not why_not:
        return sending
    log.error(f"webhook {why_not}", delivery=delivery.pk, type=delivery.type, endpoint=endpoint.public_id)
    attempts.book(sending, AttemptResult(Outcome.UNKNOWN, None, 0, why_not), now=now)
    return None
