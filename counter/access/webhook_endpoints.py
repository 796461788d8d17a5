"""Making, stopping and ending webhook endpoints, of customers and of the exchange, and the secrets they sign with.

Invariant: a secret leaves this module in `register` and `rotate`, once, and in `secrets_of`, for signing: with it
messages can be made that the receiver believes.
"""

import secrets
from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from counter import events
from counter.access.sealing import opened, sealed, sealed_anew
from counter.models import Customer, WebhookEndpoint
from infra.http_client.strangers import UrlRefused, checked_url

PUBLIC_PREFIX, SECRET_PREFIX = "whe_", "whsec_"
PUBLIC_BYTES, SECRET_BYTES = 12, 32
LONGEST_LABEL = 64
# Of the exchange: staff make them, and each costs every order.
MOST_OF_EXCHANGE = 20
KIND = b"crossbook webhooks"

Disabled = WebhookEndpoint.Disabled


class EndpointRefused(Exception):
    """An endpoint that cannot be made or changed as it was asked for; `code` is the API's."""

    code = "invalid_request"


class UrlNotAllowed(EndpointRefused):
    """Nothing can be sent to the address."""

    code = "webhook_url_refused"


class TooManyEndpoints(EndpointRefused):
    """The customer, or the exchange, has as many as are allowed."""

    code = "too_many_webhook_endpoints"


class EndpointMissing(EndpointRefused):
    """There is no such endpoint of this customer."""

    code = "not_found"


class DisabledByStaff(EndpointRefused):
    """Only staff enable what staff have disabled."""

    code = "webhook_disabled_by_staff"


@dataclass(frozen=True, slots=True)
class Registered:
    """An endpoint with a new secret, which nobody is told again."""

    endpoint: WebhookEndpoint
    secret: str = field(repr=False)


def register(
    *,
    customer_id: int | None,
    url: str,
    types: Collection[str] = (),
    label: str = "",
    now: datetime,
) -> Registered:
    """Make an endpoint, of the exchange where no customer is named; it hears `types`, or all, from now on.

    Raises: UrlNotAllowed, TooManyEndpoints, EndpointRefused.
    """
    secret = _new_secret()
    with transaction.atomic():
        # Two at once count one after the other. No order locks a customer's row; the exchange has none.
        if customer_id is not None:
            Customer.objects.select_for_update(no_key=True).get(pk=customer_id)
        check(customer_id=customer_id, url=url, types=types, label=label)
        endpoint = WebhookEndpoint.objects.create(
            public_id=PUBLIC_PREFIX + secrets.token_hex(PUBLIC_BYTES),
            customer_id=customer_id,
            url=url,
            label=label,
            types=[name for name in events.TYPES if name in types],
            encrypted_secret=sealed(secret, kind=KIND),
            created_at=now,
        )
    return Registered(endpoint, secret)


def check(*, customer_id: int | None, url: str, types: Collection[str], label: str) -> None:
    """Whether an endpoint could be made now.

    Raises: as `register`.
    """
    try:
        checked_url(url, http=settings.WEBHOOK_HTTP)
    except UrlRefused as error:
        raise UrlNotAllowed(f"the URL {error}") from error
    if unknown := set(types) - set(events.TYPES):
        raise EndpointRefused(f"unknown types: {', '.join(sorted(unknown))[:200]}")
    if len(label) > LONGEST_LABEL or "\0" in label:
        raise EndpointRefused(f"a label has up to {LONGEST_LABEL} characters")
    most = MOST_OF_EXCHANGE if customer_id is None else settings.WEBHOOK_ENDPOINTS_PER_CUSTOMER
    if endpoints_of(customer_id).count() >= most:
        raise TooManyEndpoints(f"there are {most} endpoints, and no more are allowed")


def endpoints_of(customer_id: int | None) -> QuerySet[WebhookEndpoint]:
    """The endpoints of a customer, or of the exchange, oldest first."""
    own = WebhookEndpoint.objects.filter(deleted_at__isnull=True)
    chosen = (
        own.filter(customer_id__isnull=True) if customer_id is None else own.filter(customer_id=customer_id)
    )
    return chosen.order_by("pk")


def rotate(*, customer_id: int | None, public_id: str, now: datetime) -> Registered:
    """Make a new secret; the one before signs too for `WEBHOOK_SECRET_HOURS`, one older than that no more.

    Raises: EndpointMissing.
    """
    secret = _new_secret()
    with transaction.atomic():
        endpoint = _locked(customer_id, public_id)
        endpoint.encrypted_previous = endpoint.encrypted_secret
        endpoint.previous_until = now + timedelta(hours=settings.WEBHOOK_SECRET_HOURS)
        endpoint.encrypted_secret = sealed(secret, kind=KIND)
        endpoint.save(update_fields=["encrypted_secret", "encrypted_previous", "previous_until"])
    return Registered(endpoint, secret)


def disable(
    *, customer_id: int | None, public_id: str, by: str = Disabled.CUSTOMER, now: datetime
) -> WebhookEndpoint:
    """Have nothing more written down for an endpoint; what waits is sent if it is enabled in time.

    Raises: EndpointMissing.
    """
    with transaction.atomic():
        endpoint = _locked(customer_id, public_id)
        if not endpoint.disabled:
            endpoint.disabled, endpoint.disabled_at = by, now
            endpoint.save(update_fields=["disabled", "disabled_at"])
    return endpoint


def enable(*, customer_id: int | None, public_id: str, by_staff: bool = False) -> WebhookEndpoint:
    """Have an endpoint hear again, of what happens from now on; one that is enabled stays as it is.

    It is tried at once, unless its customer had disabled it: or disabling and enabling would undo the distance that is
    kept from a receiver that fails.

    Raises: EndpointMissing; DisabledByStaff where a customer asks.
    """
    with transaction.atomic():
        endpoint = _locked(customer_id, public_id)
        if endpoint.disabled == Disabled.STAFF and not by_staff:
            raise DisabledByStaff("the exchange has disabled it")
        if endpoint.disabled:
            if by_staff or endpoint.disabled != Disabled.CUSTOMER:
                endpoint.failures, endpoint.failing_since, endpoint.open_at = 0, None, None
            endpoint.disabled, endpoint.disabled_at = Disabled.NOT, None
            endpoint.save(update_fields=["disabled", "disabled_at", "failures", "failing_since", "open_at"])
    return endpoint


def delete(*, customer_id: int | None, public_id: str, now: datetime) -> None:
    """End an endpoint for good, with its secrets; what waits for it is never sent.

    Raises: EndpointMissing.
    """
    with transaction.atomic():
        endpoint = _locked(customer_id, public_id)
        endpoint.deleted_at = now
        endpoint.encrypted_secret = endpoint.encrypted_previous = ""
        endpoint.save(update_fields=["deleted_at", "encrypted_secret", "encrypted_previous"])


def secrets_of(endpoint: WebhookEndpoint, *, now: datetime) -> list[str]:
    """What a message to an endpoint is signed with: the present secret, and for a while the one before.

    Raises: SecretUnreadable.
    """
    kept = [endpoint.encrypted_secret]
    if endpoint.encrypted_previous and endpoint.previous_until and now < endpoint.previous_until:
        kept.append(endpoint.encrypted_previous)
    return [opened(each, kind=KIND) for each in kept]


def encrypt_anew() -> int:
    """Encrypt all secrets under the first of `API_KEYS_SECRET`; of how many endpoints.

    Raises: SecretUnreadable, with nothing changed.
    """
    with transaction.atomic():
        endpoints = list(
            WebhookEndpoint.objects.filter(deleted_at__isnull=True).select_for_update().order_by("pk")
        )
        for each in endpoints:
            what = f"webhook endpoint {each.public_id}"
            each.encrypted_secret = sealed_anew(each.encrypted_secret, kind=KIND, what=what)
            each.encrypted_previous = sealed_anew(each.encrypted_previous, kind=KIND, what=what)
        WebhookEndpoint.objects.bulk_update(
            endpoints, ["encrypted_secret", "encrypted_previous"], batch_size=1000
        )
    return len(endpoints)


def _locked(customer_id: int | None, public_id: str) -> WebhookEndpoint:
    found = endpoints_of(customer_id).select_for_update().filter(public_id=public_id).first()
    if found is None:
        raise EndpointMissing(f"there is no webhook endpoint {public_id[:40]}")
    return found


def _new_secret() -> str:
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
