"""The fast path of orders: on the event loop, past Django's middleware and REST framework. The API's one exception.

Why: an order waits some milliseconds for its commit. In a view it would keep a thread for as long, and threads that
wake each other cost twice the CPU of the order itself: 600 us in the framework, 120 to 140 here (docs/capacity.md).
So the two addresses that place orders are served here, for customers who send a token or sign with a key.

Invariant: the answers are those of the views (`counter.api.orders`), whose authentication, admission, reading and
placing it calls. What is unusual about a request (another kind of credentials, some that are not valid, a type or size
that is refused) goes to the framework. What of the framework is repeated here is only what `_is_usual` looks at, and
the middleware's headers, which `counter.api.event_loop_answers` asks of the middleware. While the database is away
nothing goes there for that: its threads would fail one by one at what is known already.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.signals import setting_changed
from django.db import Error, close_old_connections
from django.dispatch import receiver

from counter.access.admission import admissions
from counter.access.failed_credentials import failed_credentials
from counter.access.request_signing import KEY_HEADER
from counter.api.addresses import address_of
from counter.api.answers import JsonAnswer
from counter.api.auth import Caller, caller_of, known_caller
from counter.api.errors import answer, tell_standing
from counter.api.event_loop_answers import Answers, Application, Receive, Scope, Send, is_ours, is_secure
from counter.api.framework_timeout import NOT_KNOWN
from counter.api.orders import BATCH, SINGLE, Placing
from counter.api.raw_request import header_of, target_of
from counter.api.signed_requests import KeyHolder, RequestParts, check, holder_of, known_holder
from counter.api.throttling import asking_of
from counter.limits.refusals import refusals
from counter.models import ApiKey
from counter.orders.deadlines import seconds_left, work_until
from counter.orders.queue import order_queue
from counter.orders.requests import Outcome
from infra.coordination import clock
from infra.coordination.group_queue import QueueFull
from infra.db.transient_errors import is_transient, leave_session
from infra.http_server.bodies import BodyLate, TooManyBodies, read_body

T = TypeVar("T")
Headers = dict[bytes, bytes]

LOOKING_UP_THREADS = 2
DATABASE_ERRORS = (Error, psycopg.Error)  # Django's own, and what it does not know of
_PLACINGS = {"/api/v1/orders": SINGLE, "/api/v1/orders/batch": BATCH}
_SCHEME = b"Token "
_KEY = KEY_HEADER.lower().encode()
_ACCEPTED = (b"*/*", b"application/json")
# Proxies add to these, some in a line of its own; `header_of` joins the lines.
_MAY_REPEAT = frozenset({b"x-forwarded-for", b"forwarded", b"via"})


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


class FastPath:
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
        scope["arrived"] = arrived = time.monotonic()
        until = work_until(arrived=arrived)
        headers = dict(scope["headers"])
        secure = is_secure(scope, headers)
        try:
            asking = await self._asking(scope, headers, until, secure=secure)
            body = await _body(receive, scope) if asking is not None else None
        except (*DATABASE_ERRORS, QueueFull, RequestDataTooBig, BodyLate, TooManyBodies) as error:
            await self._answers.send(_told(error), scope, send, secure=secure)
            return
        if asking is None:
            await self._framework(scope, receive, send)
        elif body is not None:
            placed = await _placed(placing, body, asking, scope, receive, until)
            if placed.status == NOT_KNOWN:
                await failed_credentials.hold_back(address_of(scope))
            await self._answers.send(placed, scope, send, secure=secure)

    async def _asking(
        self, scope: Scope, headers: Headers, until: float, *, secure: bool
    ) -> Caller | KeyHolder | None:
        """Who asks, if everything about the request is as usual and they may place orders.

        Raises: transient database errors; QueueFull when the database does not say so in time.
        """
        if not _is_usual(scope, headers, _rules(), secure=secure):
            return None
        public_id = headers.get(_KEY)
        if public_id is not None:
            key = public_id.decode("latin-1")
            holder = known_holder(key) or await self._looked_up(holder_of, key, until)
            return holder if holder is not None and ApiKey.Scope.TRADE in holder.caller.scopes else None
        credentials = headers.get(b"authorization", b"")
        if not credentials.startswith(_SCHEME) or not _rules().takes_tokens:
            return None
        token = credentials.removeprefix(_SCHEME).decode("latin-1")
        caller = known_caller(token) or await self._looked_up(caller_of, token, until)
        return None if caller is None or caller.customer_id is None else caller

    async def _looked_up(self, look_up: Callable[[str], T], key: str, until: float) -> T | None:
        run = copy_context().run
        found = asyncio.get_running_loop().run_in_executor(self._looking_up, run, _holder, look_up, key)
        try:
            return await asyncio.wait_for(found, seconds_left(until))
        except TimeoutError as error:
            raise QueueFull("the database did not say who asks") from error


def _is_usual(scope: Scope, headers: Headers, rules: _Rules, *, secure: bool) -> bool:
    return (
        headers.get(b"content-type") == b"application/json"
        and b"content-encoding" not in headers
        and b"idempotency-key" not in headers  # which is refused
        and headers.get(b"accept", b"*/*") in _ACCEPTED
        # One that does not say how long it is gets counted when it is read.
        and _is_at_most(rules.longest_body, headers.get(b"content-length", b"0"))
        and is_ours(headers.get(b"host", b""))
        and (secure or not rules.needs_tls)
        and not scope["query_string"]
        and (len(headers) == len(scope["headers"]) or _are_single(scope["headers"]))
    )


def _are_single(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether no header was sent twice that may be sent once."""
    counted = Counter(name for name, _ in headers)
    return all(count == 1 or name in _MAY_REPEAT for name, count in counted.items())


def _is_at_most(longest: int, length: bytes) -> bool:
    return length.isdigit() and int(length) <= longest


def _holder(look_up: Callable[[str], T], key: str) -> T | None:
    """None for credentials that are not valid: the framework says so, and why.

    Raises: transient database errors.
    """
    try:
        return look_up(key)
    except Exception as error:
        if is_transient(error):
            leave_session(error)
            raise
        return None
    finally:
        close_old_connections()


async def _body(receive: Receive, scope: Scope) -> bytes | None:
    """The whole body; None when the client has gone.

    Raises: RequestDataTooBig; BodyLate; TooManyBodies.
    """
    longest = _rules().longest_body
    body = await read_body(receive, longest=longest, address=address_of(scope))
    if body is not None and len(body) > longest:
        raise RequestDataTooBig
    return body


async def _placed(
    placing: Placing, body: bytes, asking: Caller | KeyHolder, scope: Scope, receive: Receive, until: float
) -> JsonAnswer:
    try:
        standing = None
        if isinstance(asking, KeyHolder):
            use = check(asking, _signed(scope, body), now=clock.of("default").now())
            asking = asking.caller
            refusals.check(asking.customer_id or 0)  # before the database is asked anything
            standing = await admissions.admit_soon(
                asking_of(asking, use, counts=False), seconds=seconds_left(until)
            )
        assert asking.customer_id is not None  # noqa: S101 - the framework answers who has no account
        response = await _answered(placing, body, asking.customer_id, receive, until)
    except Exception as error:  # noqa: BLE001 - it is told, and logged if nobody knows it
        return _told(error)
    if standing is not None:
        tell_standing(response, standing)
    return response


async def _answered(
    placing: Placing, body: bytes, customer_id: int, receive: Receive, until: float
) -> JsonAnswer:
    """What became of the orders, refused ones included, for the limits are told with those too."""

    async def client_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        asked = placing.read(body, customer_id)
        outcomes: list[Outcome] = []
        if asked.requests:
            outcomes = await order_queue.place_soon(asked.requests, until=until, client_gone=client_gone)
        return placing.told(asked, outcomes, customer_id)
    except Exception as error:  # noqa: BLE001 - it is told, and logged if nobody knows it
        return _told(error)


def _told(error: Exception) -> JsonAnswer:
    return JsonAnswer.of(answer(error, {}))


def _signed(scope: Scope, body: bytes) -> RequestParts:
    client = scope.get("client")
    return RequestParts(
        method=scope["method"],
        target=target_of(scope["raw_path"], scope["query_string"]),
        body=body,
        peer=client[0] if client else "",
        header=header_of(scope["headers"]),
    )
