"""What does not wait for the framework's threads, and how long anything waits for them.

Invariant: whatever the database does, /healthz is answered, and every other request within FRAMEWORK_WITHIN_SECONDS. A
request that was given up may still be carried out: its outcome is unknown, as the answer says.
"""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from counter.api.answers import json_message
from counter.api.errors import error_message
from counter.api.loop import Answers, Application, Receive, Scope, Send

FRAMEWORK_WITHIN_SECONDS = 15.0  # longer than a statement may take
INSIDE = 128  # requests; more of them than threads, and few enough to be worked off soon after an outage


class Patience:
    """An ASGI application: asks `framework`, whose threads may all be waiting, for as long as it makes sense."""

    def __init__(self, framework: Application) -> None:
        self._framework = framework
        self._answers = Answers()
        self._inside: set[asyncio.Future[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._framework(scope, receive, send)
        elif scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
            await self._answers.send(json_message({"alive": True}), scope, send)
        elif len(self._inside) >= INSIDE:
            await self._answers.send(error_message("overloaded"), scope, send)
        else:
            await self._ask(scope, receive, send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = asyncio.get_running_loop().create_future()
        given_up = False

        async def tell(message: MutableMapping[str, Any]) -> None:
            if not begun.done():
                begun.set_result(None)
            if not given_up:
                await send(message)

        asked = asyncio.ensure_future(self._framework(scope, receive, tell))
        self._inside.add(asked)
        asked.add_done_callback(self._end)
        try:
            await asyncio.wait(
                (asked, begun), timeout=FRAMEWORK_WITHIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if asked.done() or begun.done():
                await asked
                return
        except asyncio.CancelledError:
            asked.cancel()
            raise
        # Left to end by itself: its thread could not be stopped, and would wait for ever for somebody to hear it.
        given_up = True
        await self._answers.send(error_message("unavailable"), scope, send)

    def _end(self, asked: asyncio.Future[None]) -> None:
        self._inside.discard(asked)
        if not asked.cancelled():
            asked.exception()  # of one that was given up nobody else asks; the framework has told of it
