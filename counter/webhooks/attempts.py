"""One attempt to deliver: signing and sending it, without the database, and booking what became of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_network

import structlog
from django.conf import settings
from django.db import transaction
from standardwebhooks import Webhook

from counter.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from counter.webhooks import retries
from counter.webhooks.waiting import lease
from infra.exchange.host_breaker import retry_after_seconds
from infra.http_client.public_hosts import Network
from infra.http_client.strangers import AnswerMissing, NotSent, StrangersAnswer, UrlRefused, post

log = structlog.get_logger(__name__)

Outcome = WebhookAttempt.Outcome
KEPT_BYTES = 400
GONE = 410
USER_AGENT = "Crossbook-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Sending:
    """All that an attempt needs; `secrets` sign it, each of them."""

    delivery_id: int
    number: int
    endpoint_id: int
    url: str
    event_id: str
    body: str
    at: datetime
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of an attempt; `asked_seconds` is what the receiver asked us to wait."""

    outcome: Outcome
    status: int | None
    took_ms: int
    told: str
    asked_seconds: float | None = None


def send(sending: Sending) -> AttemptResult:
    """Make the attempt. Never raises: what cannot be sent is an outcome too."""
    began = time.monotonic()
    try:
        answer = _answer(sending)
    except (NotSent, UrlRefused) as error:
        return AttemptResult(Outcome.REFUSED, None, _ms_since(began), f"not sent: {error}")
    except AnswerMissing as error:
        return AttemptResult(Outcome.UNKNOWN, None, _ms_since(began), str(error))
    except Exception as error:
        log.exception("webhook could not be sent", delivery=sending.delivery_id)
        return AttemptResult(Outcome.UNKNOWN, None, _ms_since(began), type(error).__name__)
    is_good = 200 <= answer.status < 300
    return AttemptResult(
        Outcome.DELIVERED if is_good else Outcome.REFUSED,
        answer.status,
        _ms_since(began),
        answer.beginning.decode("utf-8", "replace").replace(
            "\0", "\N{REPLACEMENT CHARACTER}"
        ),  # no column keeps a NUL
        asked_seconds=None if is_good else retry_after_seconds(answer.status, answer.headers),
    )


def _ms_since(began_at: float) -> int:
    return round((time.monotonic() - began_at) * 1000)


def headers_of(sending: Sending) -> dict[str, str]:
    """The headers of the Standard Webhooks, with a signature by each secret."""
    signed = [Webhook(secret).sign(sending.event_id, sending.at, sending.body) for secret in sending.secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": sending.event_id,
        "webhook-timestamp": str(int(sending.at.timestamp())),
        "webhook-signature": " ".join(signed),
    }


def _answer(sending: Sending) -> StrangersAnswer:
    return post(
        sending.url,
        body=sending.body.encode(),
        headers=headers_of(sending),
        within_seconds=settings.WEBHOOK_WITHIN_SECONDS,
        keep_bytes=KEPT_BYTES,
        http=settings.WEBHOOK_HTTP,
        allowed=_allowed(tuple(settings.WEBHOOK_PRIVATE_NETWORKS)),
    )


@lru_cache(maxsize=8)
def _allowed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(network) for network in networks)


def book(sending: Sending, result: AttemptResult, *, now: datetime) -> None:
    """Store the attempt, and what follows for the message and for its endpoint.

    A message that another attempt has delivered meanwhile stays delivered; one that another attempt has taken is left
    to that, unless this one has delivered it.
    """
    with transaction.atomic():
        WebhookAttempt.objects.create(
            delivery_id=sending.delivery_id,
            number=sending.number,
            at=sending.at,
            outcome=result.outcome,
            status=result.status,
            took_ms=result.took_ms,
            told=result.told[:500],
        )
        waiting = WebhookDelivery.objects.filter(pk=sending.delivery_id, delivered_at__isnull=True)
        if result.outcome == Outcome.DELIVERED:
            waiting.update(delivered_at=now, due_at=None, gave_up_at=None, last_status=result.status)
            _works(sending, result, now)
        else:
            due_at = retries.next_due(attempts=sending.number, asked_seconds=result.asked_seconds, now=now)
            waiting.filter(attempts=sending.number, due_at__isnull=False).update(
                due_at=due_at, last_status=result.status
            )
            _fails(sending, result, now)
    log.info(
        "webhook attempted",
        delivery=sending.delivery_id,
        attempt=sending.number,
        outcome=result.outcome.value,
        status=result.status,
        ms=result.took_ms,
    )


def _works(sending: Sending, result: AttemptResult, now: datetime) -> None:
    """The endpoint is well: what it failed to take is due at once."""
    endpoint = WebhookEndpoint.objects.filter(pk=sending.endpoint_id)
    was_failing = endpoint.filter(failures__gt=0).update(failures=0, failing_since=None, open_at=None)
    slow_or_not = endpoint.exclude(last_ms__range=(result.took_ms // 2, result.took_ms * 2))
    slow_or_not.update(last_ms=result.took_ms)
    if was_failing:
        # Not those under way, which are due when their lease ends.
        retried = WebhookDelivery.objects.filter(
            endpoint_id=sending.endpoint_id, due_at__gt=now + lease(), attempts__gt=0
        )
        retried.update(due_at=now)


def _fails(sending: Sending, result: AttemptResult, now: datetime) -> None:
    endpoint = WebhookEndpoint.objects.select_for_update().get(pk=sending.endpoint_id)
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or now
    endpoint.open_at = retries.held_until(
        failures=endpoint.failures, asked_seconds=result.asked_seconds, now=now
    )
    endpoint.last_ms = result.took_ms
    if result.status == GONE and not endpoint.disabled:
        endpoint.disabled, endpoint.disabled_at = WebhookEndpoint.Disabled.GONE, now
        log.warning("webhook endpoint is gone", endpoint=endpoint.public_id)
    endpoint.save(
        update_fields=["failures", "failing_since", "open_at", "last_ms", "disabled", "disabled_at"]
    )
