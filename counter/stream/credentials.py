"""What a stream was opened with, and whether that would still open one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from rest_framework.request import Request

from counter.access.admission import SignatureUse
from infra.db.arrays import array, columns


class CredentialKind(StrEnum):
    """How a customer authenticates."""

    TOKEN = "token"  # noqa: S105 - no password
    SESSION = "session"
    API_KEY = "api key"


@dataclass(frozen=True, slots=True)
class Credential:
    """A token, the id of an API key, or a session with its user and the password as stored: a new one ends it."""

    kind: CredentialKind
    key: str
    user_id: int = 0
    password: str = ""


VALID_TOKENS = """
    SELECT t.key FROM authtoken_token AS t JOIN auth_user AS u ON u.id = t.user_id
    WHERE t.key = ANY(%s::varchar[]) AND u.is_active
"""
VALID_API_KEYS = """
    SELECT k.id::text FROM counter_apikey AS k JOIN counter_customer AS c ON c.id = k.customer_id
    JOIN auth_user AS u ON u.id = c.user_id
    WHERE k.id = ANY(%s::bigint[]) AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > %s)
        AND 'read' = ANY(k.scopes) AND u.is_active
"""
VALID_SESSIONS = """
    SELECT asked.key FROM unnest(%s::varchar[], %s::int[], %s::varchar[]) AS asked(key, user_id, password)
    JOIN django_session AS s ON s.session_key = asked.key AND s.expire_date > %s
    JOIN auth_user AS u ON u.id = asked.user_id AND u.is_active AND u.password = asked.password
"""


def credential_of(request: Request) -> Credential:
    """What an authenticated request was let in by. Raises: database errors."""
    if isinstance(request.auth, SignatureUse):
        return Credential(CredentialKind.API_KEY, str(request.auth.key_id))
    if isinstance(request.auth, str):
        return Credential(CredentialKind.TOKEN, request.auth)
    user_id = request.user.pk or 0
    password = get_user_model().objects.values_list("password", flat=True).get(pk=user_id)
    return Credential(CredentialKind.SESSION, request._request.session.session_key or "", user_id, password)


def revoked(credentials: Iterable[Credential], *, now: datetime) -> set[Credential]:
    """Those that are not valid any more. Raises: database errors."""
    by_kind: dict[CredentialKind, list[Credential]] = {kind: [] for kind in CredentialKind}
    for credential in set(credentials):
        by_kind[credential.kind].append(credential)
    gone = set()
    for kind, asked in by_kind.items():
        valid = _valid(kind, asked, now) if asked else set()
        gone |= {credential for credential in asked if credential.key not in valid}
    return gone


def _valid(kind: CredentialKind, asked: Sequence[Credential], now: datetime) -> set[str]:
    keys = array([credential.key for credential in asked])
    sql: str
    parameters: list[Any]
    if kind is CredentialKind.TOKEN:
        if not settings.API_TOKENS:
            return set()
        sql, parameters = VALID_TOKENS, [keys]
    elif kind is CredentialKind.API_KEY:
        sql, parameters = VALID_API_KEYS, [keys, now]
    else:
        sql, parameters = VALID_SESSIONS, [keys, *columns(asked, ["user_id", "password"]), now]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return {key for (key,) in cursor.fetchall()}
