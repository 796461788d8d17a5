"""The lane of orders: on the event loop, past the framework, of which placing an order by token needs nothing.

Invariant: it leads to the same handlers as the framework, so the answers are the same; whatever is unusual about a
request (another kind of credentials, a token that is not valid, a type or size that is refused) goes to the framework.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import close_old_connections
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host
from rest_framework.exceptions import AuthenticationFailed

from counter.api.auth import Caller, caller_of, known_caller
from counter.api.errors import answer
from counter.api.loop import Answers, Application, Receive, Scope, Send, is_secure
from counter.api.orders import BATCH, SINGLE, Placing
from counter.gate import ANSWER_WITHIN_SECONDS, OutcomeUnknown, gate

LOOKING_UP_THREADS = 2
_PLACINGS = {"/api/v1/orders": SINGLE, "/api/v1/orders/batch": BATCH}
_SCHEME = b"Token "
_ACCEPTED = (b"*/*", b"application/json")


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
            customer_id = await self._customer(scope, headers)
            body = await _body(receive) if customer_id is not None else None
        except (OutcomeUnknown, RequestDataTooBig) as error:
            await self._answers.send(answer(error, {}), scope, send, secure=secure)
            return
        if customer_id is None:
            await self._framework(scope, receive, send)
        elif body is not None:
            placed = await _placed(placing, body, customer_id)
            await self._answers.send(placed, scope, send, secure=secure)

    async def _customer(self, scope: Scope, headers: dict[bytes, bytes]) -> int | None:
        """Who asks, if everything about the request is as usual.

        Raises: OutcomeUnknown when the database does not say so; the framework would wait for it without an end.
        """
        credentials = headers.get(b"authorization", b"")
        usual = (
            credentials.startswith(_SCHEME)
            and headers.get(b"content-type") == b"application/json"
            and b"content-encoding" not in headers
            and headers.get(b"accept", b"*/*") in _ACCEPTED
            # One that does not say how long it is gets counted by `_body`.
            and _is_short(headers.get(b"content-length", b"0"))
            and _is_ours(headers.get(b"host", b""))
            and (not settings.SECURE_SSL_REDIRECT or is_secure(scope, headers))
            and not scope["query_string"]
            and len(headers) == len(scope["headers"])  # none of them twice
        )
        if not usual:
            return None
        key = credentials.removeprefix(_SCHEME).decode("latin-1")
        caller = known_caller(key)
        if caller is None:
            loop = asyncio.get_running_loop()
            found = loop.run_in_executor(self._looking_up, _looked_up, key)
            try:
                caller = await asyncio.wait_for(found, ANSWER_WITHIN_SECONDS)
            except TimeoutError as error:
                raise OutcomeUnknown("the database did not say who asks") from error
        return None if caller is None else caller.customer_id


def _is_short(length: bytes) -> bool:
    return length.isdigit() and int(length) <= _longest()


def _longest() -> int:
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0


@lru_cache(maxsize=1000)
def _is_ours(host: bytes) -> bool:
    domain, _ = split_domain_port(host.decode("latin-1"))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _looked_up(key: str) -> Caller | None:
    """None for a token that is not valid, and when the database does not answer: the framework says so."""
    try:
        return caller_of(key)
    except AuthenticationFailed:
        return None
    except Exception:  # noqa: BLE001 - it will fail in the framework too, which knows how to answer
        return None
    finally:
        close_old_connections()


async def _body(receive: Receive) -> bytes | None:
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
        if size > _longest():
            raise RequestDataTooBig
        if not message.get("more_body"):
            return b"".join(parts)


async def _placed(placing: Placing, body: bytes, customer_id: int) -> HttpResponse:
    try:
        asked = placing.read(body, customer_id)
        return placing.answer(asked, await gate.place_soon(asked.requests) if asked.requests else [])
    except Exception as error:  # noqa: BLE001 - `answer` logs what it does not know
        return answer(error, {})
