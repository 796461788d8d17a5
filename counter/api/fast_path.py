"""The lane of orders: on the event loop, past the framework, of which placing an order by token or key needs nothing.

Invariant: it leads to the same handlers as the framework, so the answers are the same; whatever is unusual about a
request (another kind of credentials, some that are not valid, a type or size that is refused) goes to the framework.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.signals import setting_changed
from django.db import close_old_connections
from django.dispatch import receiver
from django.http.request import split_domain_port, validate_host
from django.utils import timezone

from counter.access.admission import admissions
from counter.access.request_signing import KEY_HEADER
from counter.api.answers import JsonAnswer
from counter.api.auth import Caller, caller_of, known_caller
from counter.api.errors import answer, tell_standing
from counter.api.loop import Answers, Application, Receive, Scope, Send, is_secure
from counter.api.orders import BATCH, SINGLE, Placing
from counter.api.received import header_of, target_of
from counter.api.signed_requests import Asked, KeyHolder, check, holder_of, known_holder
from counter.api.views import asking_of
from counter.models import ApiKey
from counter.ordering.gate import ANSWER_WITHIN_SECONDS, OutcomeUnknown, gate

T = TypeVar("T")
Headers = dict[bytes, bytes]

LOOKING_UP_THREADS = 2
_PLACINGS = {"/api/v1/orders": SINGLE, "/api/v1/orders/batch": BATCH}
_SCHEME = b"Token "
_KEY = KEY_HEADER.lower().encode()
_ACCEPTED = (b"*/*", b"application/json")


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the settings say of requests; kept, for reading one setting costs a microsecond."""

    longest_body: int
    takes_tokens: bool
    needs_tls: bool


@cache
def _rules() -> _Rules:
    return _Rules(
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0, settings.API_TOKENS, settings.SECURE_SSL_REDIRECT
    )


@receiver(setting_changed)
def _forget_rules(**_: Any) -> None:
    _rules.cache_clear()


class OrderLane:
    """An ASGI application: places orders, and hands every other request to `framework`."""

    def __init__(self, framework: Application) -> None:
        self._framework = framework
        self._looking_up = ThreadPoolExecutor(LOOKING_UP_THREADS, thread_name_prefix="callers")
        self._answers = Answers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        placing = (
            _PLACINGS.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        )
        if placing is None:
            await self._framework(scope, receive, send)
            return
        headers = dict(scope["headers"])
        secure = is_secure(scope, headers)
        try:
            asking = await self._asking(scope, headers, secure=secure)
            body = await _body(receive, _rules().longest_body) if asking is not None else None
        except (OutcomeUnknown, RequestDataTooBig) as error:
            await self._answers.send(_told(error), scope, send, secure=secure)
            return
        if asking is None:
            await self._framework(scope, receive, send)
        elif body is not None:
            placed = await _placed(placing, body, asking, scope)
            await self._answers.send(placed, scope, send, secure=secure)

    async def _asking(self, scope: Scope, headers: Headers, *, secure: bool) -> Caller | KeyHolder | None:
        """Who asks, if everything about the request is as usual and he may place orders.

        Raises: OutcomeUnknown when the database does not say so; the framework would wait for it without an end.
        """
        if not _is_usual(scope, headers, _rules(), secure=secure):
            return None
        public_id = headers.get(_KEY)
        if public_id is not None:
            key = public_id.decode("latin-1")
            holder = known_holder(key) or await self._looked_up(holder_of, key)
            return holder if holder is not None and ApiKey.Scope.TRADE in holder.caller.scopes else None
        credentials = headers.get(b"authorization", b"")
        if not credentials.startswith(_SCHEME) or not _rules().takes_tokens:
            return None
        token = credentials.removeprefix(_SCHEME).decode("latin-1")
        caller = known_caller(token) or await self._looked_up(caller_of, token)
        return None if caller is None or caller.customer_id is None else caller

    async def _looked_up(self, look_up: Callable[[str], T], key: str) -> T | None:
        found = asyncio.get_running_loop().run_in_executor(self._looking_up, _quietly, look_up, key)
        try:
            return await asyncio.wait_for(found, ANSWER_WITHIN_SECONDS)
        except TimeoutError as error:
            raise OutcomeUnknown("the database did not say who asks") from error


def _is_usual(scope: Scope, headers: Headers, rules: _Rules, *, secure: bool) -> bool:
    return (
        headers.get(b"content-type") == b"application/json"
        and b"content-encoding" not in headers
        and headers.get(b"accept", b"*/*") in _ACCEPTED
        # One that does not say how long it is gets counted by `_body`.
        and _is_at_most(rules.longest_body, headers.get(b"content-length", b"0"))
        and _is_ours(headers.get(b"host", b""))
        and (secure or not rules.needs_tls)
        and not scope["query_string"]
        and len(headers) == len(scope["headers"])  # none of them twice
    )


def _is_at_most(longest: int, length: bytes) -> bool:
    return length.isdigit() and int(length) <= longest


@lru_cache(maxsize=1000)
def _is_ours(host: bytes) -> bool:
    domain, _ = split_domain_port(host.decode("latin-1"))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _quietly(look_up: Callable[[str], T], key: str) -> T | None:
    """None for credentials that are not valid, and when the database does not answer: the framework says so."""
    try:
        return look_up(key)
    except Exception:  # noqa: BLE001 - it will fail in the framework too, which knows how to answer
        return None
    finally:
        close_old_connections()


async def _body(receive: Receive, longest: int) -> bytes | None:
    """The whole body; None when the client has gone.

    Raises: RequestDataTooBig.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > longest:
            raise RequestDataTooBig
        if not message.get("more_body"):
            return b"".join(parts)


async def _placed(placing: Placing, body: bytes, asking: Caller | KeyHolder, scope: Scope) -> JsonAnswer:
    try:
        standing = None
        if isinstance(asking, KeyHolder):
            use = check(asking, _signed(scope, body), now=timezone.now())
            asking = asking.caller
            standing = await admissions.admit_soon(asking_of(asking, use, counts=False))
        assert asking.customer_id is not None  # noqa: S101 - the framework answers who has no account
        response = await _answered(placing, body, asking.customer_id)
    except Exception as error:  # noqa: BLE001 - it is told, and logged if nobody knows it
        return _told(error)
    if standing is not None:
        tell_standing(response, standing)
    return response


async def _answered(placing: Placing, body: bytes, customer_id: int) -> JsonAnswer:
    """What became of the orders, refused ones included, for the limits are told with those too."""
    try:
        asked = placing.read(body, customer_id)
        return placing.answer(asked, await gate.place_soon(asked.requests) if asked.requests else [])
    except Exception as error:  # noqa: BLE001 - it is told, and logged if nobody knows it
        return _told(error)


def _told(error: Exception) -> JsonAnswer:
    return JsonAnswer.of(answer(error, {}))


def _signed(scope: Scope, body: bytes) -> Asked:
    client = scope.get("client")
    return Asked(
        method=scope["method"],
        target=target_of(scope["raw_path"], scope["query_string"]),
        body=body,
        peer=client[0] if client else "",
        header=header_of(scope["headers"]),
    )
