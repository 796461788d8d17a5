"""The stream program as an ASGI application: asks who it is on threads, as every door does, then serves on the loop."""

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.http import HttpResponse
from django.http.request import split_domain_port

from counter.access.failed_credentials import failed_credentials
from counter.api.addresses import address_of
from counter.api.answers import JsonAnswer, json_message
from counter.api.errors import ApiError, answer, error_answer
from counter.api.event_loop_answers import Answers, RawHeaders, Receive, Scope, Send, raw_headers
from counter.api.framework_timeout import NOT_KNOWN
from counter.stream.changes import Mark, Told, begin
from counter.stream.hub import Hub
from counter.stream.listener import Listener
from counter.stream.messages import LAST_EVENT_ID, event, last_of, mark_of, snapshot
from counter.stream.quote_board import Wanted
from counter.stream.reader import Reader
from counter.stream.views import Opening
from infra.coordination import clock
from infra.coordination.ages import lies_ahead
from infra.coordination.group_queue import OutcomeUnknown

T = TypeVar("T")

ASKING_THREADS = 4
ASKED_WITHIN_SECONDS = 15.0
READY_WITHIN_SECONDS = 10.0
# Clients who all lost their program at once come again one after another.
RETRY_MILLISECONDS = (1000, 3000)
URLCONF = "counter.stream.urls"
LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)


class Streams:
    """An ASGI application: `GET /api/v1/stream`, and errors as the web program answers them."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.reader: Reader | None = None
        self._handler = BaseHandler()
        self._handler.load_middleware()
        self._asking = ThreadPoolExecutor(ASKING_THREADS, thread_name_prefix="asking")
        self._answers = Answers()

    def start(self) -> None:
        """Begin to read, on the running loop."""
        self.reader = Reader(asyncio.get_running_loop(), self.hub.deliver, self.hub.counts)
        self.reader.start()

    def retire(self) -> None:
        """Let everybody go."""
        self.hub.retire()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] in ("/healthz", "/readyz") and scope["method"] in ("GET", "HEAD"):
            await self._answers.send(self._health(scope["path"]), scope, send)
            return
        try:
            response = await self._in_thread(self._ask, scope)
        except Exception as error:  # noqa: BLE001 - `answer` logs what it does not know
            response = answer(error, {})
        if response.status_code == NOT_KNOWN:
            await failed_credentials.hold_back(address_of(scope))
        if isinstance(response, Opening) and scope["method"] == "GET":
            await self._stream(response, scope, receive, send)
        else:
            await _answer(response, scope, send)

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        """Raises: OutcomeUnknown when it takes too long; what the call raises."""
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(
                loop.run_in_executor(self._asking, copy_context().run, call, *arguments), ASKED_WITHIN_SECONDS
            )
        except TimeoutError as error:
            raise OutcomeUnknown("the database did not answer") from error

    def _health(self, path: str) -> JsonAnswer:
        """Whether this process lives, and whether it can tell what happens."""
        if path == "/healthz":
            return json_message({"alive": True})
        silent = time.monotonic() - self.reader.read_at if self.reader is not None else READY_WITHIN_SECONDS
        ready = silent < READY_WITHIN_SECONDS and not self.hub.is_retiring
        body = {"ready": ready, "read_seconds_ago": round(silent, 3), "listeners": len(self.hub)}
        return json_message(body, status=200 if ready else 503)

    def _ask(self, scope: Scope) -> HttpResponse:
        """Have the framework find out who asks and what for."""
        try:
            request = ASGIRequest(scope, BytesIO())
        except (UnicodeDecodeError, RequestDataTooBig):
            return error_answer("invalid_request")
        request.urlconf = URLCONF
        try:
            response: Any = self._handler.get_response(request)
            return response
        finally:
            close_old_connections()

    async def _stream(self, opening: Opening, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.reader is not None  # noqa: S101 - the server starts us first
        listener = _listener(opening)
        try:
            self.hub.enter(listener)
        except ApiError as error:
            await _answer(answer(error, {}), scope, send)
            return
        try:
            since = mark_of(dict(scope["headers"]).get(LAST_EVENT_ID, b"").decode("latin-1"))
            first, told = await self._in_thread(_beginning, listener, since)
        except Exception as error:  # noqa: BLE001 - `answer` logs what it does not know
            self.hub.leave(listener)
            await _answer(answer(error, {}), scope, send)
            return
        listener.put(first)
        self.reader.join(listener, told)
        try:
            await _serve(listener, opening, scope, receive, send)
        finally:
            self.reader.leave(listener)
            self.hub.leave(listener)


def _listener(opening: Opening) -> Listener:
    query = opening.query
    symbols = None if query.symbols is None else frozenset(query.symbols.split(","))
    return Listener(
        customer_id=opening.customer_id,
        channels=frozenset(query.channels.split(",")),
        wanted=Wanted(query.underlying, query.expiry, symbols),
        credential=opening.credential,
    )


def _beginning(listener: Listener, since: Mark | None) -> tuple[bytes, Told | None]:
    """What a stream begins with, and what the customer is then known to know. Raises: database errors."""
    retry = b"retry: %d\n\n" % random.randint(*RETRY_MILLISECONDS)
    if not listener.own:
        return retry, None
    now = clock.of("default").now()
    if since is not None and lies_ahead(since.at, now=now):
        since = Mark(since.order_id, LONG_AGO)  # a clock was wrong: what has ended is told once more
    try:
        start, told = begin(customer_id=listener.customer_id, since=since)
    finally:
        close_old_connections()
    return retry + last_of([event("snapshot", snapshot(start, listener.own))], told.mark(now)), told


async def _serve(listener: Listener, opening: Opening, scope: Scope, receive: Receive, send: Send) -> None:
    """Send what comes until the client goes, or is let go."""
    await send(_start(opening, scope))
    sending = asyncio.ensure_future(_send_all(listener, send))
    going = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((sending, going), return_when=asyncio.FIRST_COMPLETED)
    finally:
        listener.end("gone")
        for task in (sending, going):
            task.cancel()
        await asyncio.gather(sending, going, return_exceptions=True)
    if listener.reason != "gone" and not sending.cancelled():
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_all(listener: Listener, send: Send) -> None:
    async for piece in listener.pieces():
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(response: HttpResponse, scope: Scope, send: Send) -> None:
    await send(_start(response, scope))
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.content})


def _start(response: HttpResponse, scope: Scope) -> dict[str, Any]:
    headers = [*raw_headers(response), *_for_pages_of_ours(scope)]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}


def _for_pages_of_ours(scope: Scope) -> RawHeaders:
    """Lets a page read the stream that comes from the same host, by another port, or from a trusted origin."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    parts = urlsplit(origin)
    host, _ = split_domain_port(headers.get(b"host", b"").decode("latin-1"))
    same_host = host != "" and parts.hostname == host and (parts.scheme == "https" or not settings.HTTPS)
    if not (same_host or origin in settings.CSRF_TRUSTED_ORIGINS):
        return []
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"request-id"),
        (b"vary", b"origin"),
    ]
