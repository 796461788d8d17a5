"""Signed requests: whose key it is, whether the signature fits and was made now, and from where it may come."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import connection
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from counter.access.admission import SignatureUse
from counter.access.api_keys import secret_of
from counter.access.rate_limit import Limit, of_key
from counter.access.request_signing import KEY_HEADER, HeaderUnreadable, fits, read_headers
from counter.access.sealing import SecretUnreadable
from counter.api.addresses import client_address, is_in, networks_of
from counter.api.auth import Caller, Remembered, forgetting
from counter.api.errors import CHALLENGE, ApiError
from counter.api.raw_request import header_in, target_in
from counter.models import ApiKey
from infra.coordination import clock

log = structlog.get_logger(__name__)

LONGEST_PUBLIC_ID = 32
HOLDER_OF_KEY = """
    SELECT k.id, k.encrypted_secret, k.scopes, k.networks, k.requests_per_second, k.expires_at, c.id, c.user_id
    FROM counter_apikey AS k
    JOIN counter_customer AS c ON c.id = k.customer_id
    JOIN auth_user AS u ON u.id = c.user_id
    WHERE k.public_id = %s AND k.revoked_at IS NULL AND k.encrypted_secret <> '' AND u.is_active
"""


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A key that counts, and for whom it speaks."""

    key_id: int
    secret: str = field(repr=False)
    networks: tuple[str, ...]
    expires_at: datetime | None
    caller: Caller


@dataclass(frozen=True, slots=True)
class RequestParts:
    """What a signature covers of a request, and where that came from."""

    method: str
    target: bytes
    body: bytes
    peer: str
    header: Callable[[str], str | None]


class NotSigned(ApiError):
    """The request is not taken for what its headers say."""

    auth_header = CHALLENGE


_holders: Remembered[KeyHolder] = Remembered()
forgetting(_holders)


@receiver([post_save, post_delete], sender=ApiKey)
def forget_holders(using: str, **signal: object) -> None:
    """Look every key up anew: one of them has changed."""
    _holders.forget_from_commit(using)


def known_holder(public_id: str) -> KeyHolder | None:
    """Whose key it is, if that was asked for a moment ago."""
    return _holders.get(public_id)


def holder_of(public_id: str) -> KeyHolder:
    """Whose key it is.

    Raises: ApiError when it does not count; database errors.
    """
    return _holders.get(public_id) or _holders.found(public_id, _looked_up)


def _looked_up(public_id: str) -> KeyHolder:
    row = None
    if len(public_id) <= LONGEST_PUBLIC_ID and public_id.isascii() and public_id.isprintable():
        with connection.cursor() as cursor:
            cursor.execute(HOLDER_OF_KEY, [public_id])
            row = cursor.fetchone()
    if row is None:
        raise NotSigned("signature_invalid", f"{KEY_HEADER} is of no key that counts")
    key_id, encrypted, scopes, networks, per_second, expires_at, customer_id, user_id = row
    try:
        secret = secret_of(encrypted)
    except SecretUnreadable as error:
        log.error("the secret of an API key cannot be read: API_KEYS_SECRET has changed", api_key=key_id)
        raise NotSigned("signature_invalid", f"{KEY_HEADER} is of no key that counts") from error
    limits: tuple[Limit, ...] = () if per_second is None else (of_key(key_id, per_second=per_second),)
    caller = Caller(user_id, customer_id, scopes=frozenset(scopes), limits=limits)
    return KeyHolder(key_id, secret, tuple(networks), expires_at, caller)


def check(holder: KeyHolder, asked: RequestParts, *, now: datetime) -> SignatureUse:
    """Check a request's signature; whether it came before is for admission to say.

    What is wrong beside the signature is told only to who can sign.
    Raises: ApiError.
    """
    try:
        headers = read_headers(asked.header)
    except HeaderUnreadable as error:
        raise ApiError("invalid_request", f"{error.header}: {error}", header=error.header) from error
    if not fits(headers, secret=holder.secret, method=asked.method, target=asked.target, body=asked.body):
        raise NotSigned("signature_invalid")
    if not headers.is_in_time(now):
        raise NotSigned("signature_expired", now=now.isoformat())
    if holder.expires_at is not None and holder.expires_at <= now:
        raise NotSigned("authentication_failed", "the key has expired")
    if holder.networks:
        address = client_address(asked.peer, asked.header("X-Forwarded-For") or "")
        if address is None or not is_in(address, networks_of(holder.networks)):
            raise ApiError("ip_not_allowed", f"the key may not be used from {address}")
    return SignatureUse(headers.signature, holder.key_id, headers.valid_until)


class SignedRequestAuthentication(BaseAuthentication):
    """`X-API-Key` and the other headers of `counter.access.request_signing`."""

    def authenticate_header(self, request: Request) -> str:
        """What a stranger is told to bring."""
        return CHALLENGE

    def authenticate(self, request: Request) -> tuple[Caller, SignatureUse] | None:
        """Who signed, and the signature that is to be taken."""
        plain = request._request
        public_id = plain.headers.get(KEY_HEADER)
        if public_id is None:
            return None
        holder = holder_of(public_id)
        asked = RequestParts(
            method=plain.method or "",
            target=target_in(plain),
            body=plain.body,
            peer=plain.META.get("REMOTE_ADDR", ""),
            header=header_in(plain),
        )
        return holder.caller, check(holder, asked, now=clock.of("default").now())
