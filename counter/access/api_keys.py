"""Making and revoking customers' API keys, whose secrets are kept encrypted: signatures are verified with them.

Invariant: a secret leaves this module in `issue` and `collect`, once a key, and in `secret_of`, for verifying a
signature. Staff offer a key and never see its secret, which is made when the customer collects it: a person with the
secret trades for the customer. `issue` is for the console.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from counter.access.sealing import opened, sealed, sealed_anew
from counter.models import ApiKey

PUBLIC_PREFIX, SECRET_PREFIX = "cbk_", "cbs_"
PUBLIC_BYTES, SECRET_BYTES = 12, 32
MAX_NETWORKS = 50
UNCOLLECTED = ""  # in the place of the encrypted secret
KIND = b"crossbook api keys"


class ApiKeyError(Exception):
    """A key that cannot be made as it was asked for; the text says why."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key with its secret, which nobody is told again."""

    key: ApiKey
    secret: str = field(repr=False)


def offer(
    *,
    customer_id: int,
    label: str,
    scopes: Collection[str],
    networks: Sequence[str] = (),
    requests_per_second: int | None = None,
    expires_at: datetime | None = None,
    now: datetime,
) -> ApiKey:
    """Make a key for a customer; it opens nothing until the customer has collected its secret.

    Raises: ApiKeyError.
    """
    if requests_per_second is not None and requests_per_second < 1:
        raise ApiKeyError("less than one request a second lets nothing through")
    return ApiKey.objects.create(
        customer_id=customer_id,
        label=label,
        public_id=PUBLIC_PREFIX + secrets.token_hex(PUBLIC_BYTES),
        encrypted_secret=UNCOLLECTED,
        scopes=known_scopes(scopes),
        networks=read_networks(networks),
        requests_per_second=requests_per_second,
        created_at=now,
        expires_at=expires_at,
    )


def issue(*, now: datetime, **asked: Any) -> Issued:
    """Make a key for a customer with its secret at once; takes what `offer` takes.

    Raises: ApiKeyError.
    """
    with transaction.atomic():
        return _with_secret(offer(now=now, **asked))


def collect(*, customer_id: int, public_id: str, now: datetime) -> Issued:
    """Make the secret of a customer's key, once.

    Raises: ApiKeyError when there is nothing to collect (any more).
    """
    with transaction.atomic():
        key = (
            waiting_keys(customer_id=customer_id, now=now)
            .select_for_update()
            .filter(public_id=public_id)
            .first()
        )
        if key is None:
            raise ApiKeyError("the key was collected or revoked, or has expired")
        return _with_secret(key)


def _with_secret(key: ApiKey) -> Issued:
    secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    key.encrypted_secret = sealed(secret, kind=KIND)
    key.save(update_fields=["encrypted_secret"])
    return Issued(key, secret)


def waiting_keys(*, customer_id: int, now: datetime) -> QuerySet[ApiKey]:
    """A customer's keys whose secret was not collected yet, oldest first."""
    in_time = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    waiting = ApiKey.objects.filter(
        in_time, customer_id=customer_id, encrypted_secret=UNCOLLECTED, revoked_at__isnull=True
    )
    return waiting.order_by("pk")


def revoke(key: ApiKey, *, now: datetime) -> None:
    """Let nothing more through that is signed with a key: here at once, in other processes within seconds."""
    if key.revoked_at is None:
        key.revoked_at = now
        key.save(update_fields=["revoked_at"])


def secret_of(encrypted: str) -> str:
    """A key's secret.

    Raises: SecretUnreadable.
    """
    return opened(encrypted, kind=KIND)


def encrypt_anew() -> int:
    """Encrypt all secrets under the first of `API_KEYS_SECRET`, so that the others can be dropped; how many there are.

    Raises: SecretUnreadable, with nothing changed.
    """
    with transaction.atomic():
        keys = list(ApiKey.objects.exclude(encrypted_secret=UNCOLLECTED).select_for_update().order_by("pk"))
        for key in keys:
            key.encrypted_secret = sealed_anew(key.encrypted_secret, kind=KIND, what=f"key {key.pk}")
        ApiKey.objects.bulk_update(keys, ["encrypted_secret"], batch_size=1000)
    return len(keys)


def known_scopes(asked: Collection[str]) -> list[str]:
    """Scopes in their order, each once.

    Raises: ApiKeyError.
    """
    unknown = set(asked) - set(ApiKey.Scope.values)
    if unknown or not asked:
        raise ApiKeyError(f"a key has one or more of the scopes {', '.join(ApiKey.Scope.values)}")
    return [scope for scope in ApiKey.Scope.values if scope in asked]


def read_networks(asked: Sequence[str]) -> list[str]:
    """Networks in CIDR notation, as they are kept; a single address is a network of one.

    Raises: ApiKeyError.
    """
    if len(asked) > MAX_NETWORKS:
        raise ApiKeyError(f"{len(asked)} networks, at most {MAX_NETWORKS}")
    try:
        return [str(ip_network(text.strip())) for text in asked]
    except ValueError as error:
        raise ApiKeyError(str(error)) from error
