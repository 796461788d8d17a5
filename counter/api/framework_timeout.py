"""Answers that need none of the framework's threads, and a time limit for all that do.

Invariant: with a slow or dead database /healthz is still answered, and every other request within
FRAMEWORK_WITHIN_SECONDS. A request that was given up may still be executed: its outcome is unknown, as the answer
says. The desk's reports that it is alive wait for no other request: a thread is reserved for them, for callers with a
key of the desk's.
"""

import asyncio
from collections import Counter
from collections.abc import MutableMapping
from typing import Any

from django.conf import settings

from counter.access.failed_credentials import failed_credentials
from counter.api.addresses import address_of
from counter.api.answers import JsonAnswer, json_message
from counter.api.errors import answer, error_message
from counter.api.event_loop_answers import Answers, Application, Receive, Scope, Send, is_ours, is_secure
from counter.api.service_auth import DESK, WALLET
from counter.api.shared_answer import SharedAnswer

FRAMEWORK_WITHIN_SECONDS = 15.0  # longer than a statement may take
NOT_KNOWN = 401
SHARES = 2  # of an address that asks alone: this part of them
INSIDE = 128  # requests; more of them than threads, and few enough to be worked off soon after an outage


LIVENESS = "/internal/v1/conditions"
READINESS = "/readyz"
_OF_EVERYBODY = (b"host", b"x-forwarded-proto")

_answers = Answers()


class FrameworkTimeout:
    """An ASGI application: asks `framework`, whose threads may all be waiting, for as long as it makes sense.

    `liveness` is the same framework on threads of its own.
    """

    def __init__(self, framework: Application, liveness: Application) -> None:
        self._framework = framework
        self._liveness = liveness
        self._inside: dict[asyncio.Future[None], str] = {}  # and the address that each is of
        self._readiness: SharedAnswer[list[MutableMapping[str, Any]]] = SharedAnswer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._framework(scope, receive, send)
        elif scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
            await _answers.send(json_message({"alive": True}), scope, send)
        elif scope["path"] == LIVENESS and await DESK.recognises(scope, receive):
            await self._liveness(scope, receive, send)
        elif scope["path"] == READINESS and _is_plain(scope):
            for message in await self._readiness.get(lambda: self._collected(scope)):
                await send(message)
        elif not self._has_room(address_of(scope)) and not await _is_machine(scope, receive):
            await _answers.send(error_message("overloaded"), scope, send)
        else:
            await self._ask(scope, receive, send)

    def _has_room(self, address: str) -> bool:
        """Whether one more of this address may be inside: each has a share, and there is one left for a newcomer."""
        if len(self._inside) < INSIDE // SHARES:
            return True
        of_address = Counter(self._inside.values())
        others = len(of_address.keys() - {address})
        return len(self._inside) < INSIDE and of_address[address] < INSIDE // (others + SHARES)

    async def _collected(self, scope: Scope) -> list[MutableMapping[str, Any]]:
        """The answer to every caller of this address: asked without the headers of one of them."""
        headers = [(name, value) for name, value in scope["headers"] if name in _OF_EVERYBODY]
        collected: list[MutableMapping[str, Any]] = []

        async def collect(message: MutableMapping[str, Any]) -> None:
            collected.append(message)

        asked = {**scope, "method": "GET", "headers": headers, "query_string": b""}
        await self._ask(asked, _nothing_more, collect)
        return collected

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = asyncio.get_running_loop().create_future()
        given_up = False
        held: list[MutableMapping[str, Any]] = []  # an answer to wrong credentials: it takes no place inside

        async def tell(message: MutableMapping[str, Any]) -> None:
            if held or message.get("status") == NOT_KNOWN:
                held.append(message)
                return
            if not begun.done():
                begun.set_result(None)
            if not given_up:
                await send(message)

        asked = asyncio.ensure_future(self._framework(scope, receive, tell))
        self._inside[asked] = address_of(scope)
        asked.add_done_callback(self._end)
        try:
            await asyncio.wait(
                (asked, begun), timeout=FRAMEWORK_WITHIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if asked.done() or begun.done():
                await asked
                if held:
                    await failed_credentials.hold_back(address_of(scope))
                    for message in held:
                        await send(message)
                return
        except asyncio.CancelledError:
            asked.cancel()
            raise
        # Left to end by itself: its thread could not be stopped, and would wait for ever for somebody to hear it.
        given_up = True
        await _answers.send(error_message("unavailable"), scope, send)

    def _end(self, asked: asyncio.Future[None]) -> None:
        self._inside.pop(asked, None)
        if not asked.cancelled():
            asked.exception()  # of one that was given up nobody else asks; the framework has told of it


def _is_plain(scope: Scope) -> bool:
    """Whether the answer is one for everybody: not one to a strange Host, nor a redirect to TLS."""
    headers = dict(scope["headers"])
    is_safe = not settings.SECURE_SSL_REDIRECT or is_secure(scope, headers)
    return scope["method"] == "GET" and is_ours(headers.get(b"host", b"")) and is_safe


async def _is_machine(scope: Scope, receive: Receive) -> bool:
    """Whether the desk or the wallet service asks, who do not stand behind a crowd of customers."""
    return any([await service.recognises(scope, receive) for service in (DESK, WALLET)])


async def _nothing_more() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def refuse(error: Exception, scope: Scope, send: Send) -> None:
    """Answer a request that is not read to its end, as the API answers an error."""
    await _answers.send(JsonAnswer.of(answer(error, {})), scope, send)
