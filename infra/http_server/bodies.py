"""Whole requests for the framework: it is asked once a body is there, so that slow senders cost it no thread.

Invariant: what it reads waits for nothing and says how long it is; more than DATA_UPLOAD_MAX_MEMORY_SIZE is not kept.
A body comes within BODY_WITHIN_SECONDS, and of one address few are on their way at a time: of more the oldest ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_WITHIN_SECONDS = 10.0
BODIES_OF_ADDRESS = 100  # whose ends have not come, in each process
LOOK_EVERY_SECONDS = 1.0


class BodyLate(Exception):
    """The end of the body did not come in time."""


class TooManyBodies(Exception):
    """More bodies of this address are on their way than may be, and this is the oldest."""


class WholeBodies:
    """An ASGI application: hands requests to `framework`, each with its body, and none whose client has gone.

    `refuse` answers those that are not read: BodyLate, TooManyBodies.
    """

    def __init__(
        self,
        framework: Application,
        *,
        address_of: Callable[[Scope], str],
        refuse: Callable[[Exception, Scope, Send], Awaitable[None]],
    ) -> None:
        self._framework = framework
        self._address_of = address_of
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._framework(scope, receive, send)
            return
        scope.setdefault("arrived", time.monotonic())
        try:
            body = await read_body(
                receive, longest=settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0, address=self._address_of(scope)
            )
        except (BodyLate, TooManyBodies) as error:
            await self._refuse(error, scope, send)
            return
        if body is None:
            return

        async def whole() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        names = {name for name, _ in scope["headers"]}
        if body and b"content-length" not in names:  # without it WSGI knows of no body
            length = (b"content-length", str(len(body)).encode())
            scope = {**scope, "headers": [*scope["headers"], length]}
        await self._framework(scope, whole, send)


class _Reading:
    """One body that is on its way; `ended_by` says why it is not read to its end."""

    __slots__ = ("address", "ended_by", "since", "task")

    def __init__(self, address: str, since: float, task: "asyncio.Task[Any] | None") -> None:
        self.address = address
        self.since = since
        self.task = task
        self.ended_by: Exception | None = None

    def end(self, why: Exception) -> None:
        if self.ended_by is None and self.task is not None:
            self.ended_by = why
            self.task.cancel()


class _Readings:
    """All bodies that are on their way to this process, by address, oldest first.

    They are looked at once a second: a timer for each would cost every order. Of too many the oldest end, never those
    that have just come: a whole request is answered, from the same address too.
    """

    def __init__(self) -> None:
        self._of_address: dict[str, dict[_Reading, None]] = {}
        self._looked_at_by: asyncio.AbstractEventLoop | None = None

    def enter(self, address: str) -> _Reading:
        loop = asyncio.get_running_loop()
        if self._looked_at_by is not loop:
            self._looked_at_by = loop
            loop.call_later(LOOK_EVERY_SECONDS, self._look, loop)
        reading = _Reading(address, time.monotonic(), asyncio.current_task(loop))
        self._of_address.setdefault(address, {})[reading] = None
        return reading

    def leave(self, reading: _Reading) -> None:
        theirs = self._of_address[reading.address]
        del theirs[reading]
        if not theirs:
            del self._of_address[reading.address]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._looked_at_by is not loop:
            return
        now = time.monotonic()
        for address, theirs in self._of_address.items():
            too_many = len(theirs) - BODIES_OF_ADDRESS
            for number, reading in enumerate(theirs):
                if now - reading.since > BODY_WITHIN_SECONDS:
                    reading.end(BodyLate())
                elif number < too_many and now - reading.since > LOOK_EVERY_SECONDS:
                    reading.end(TooManyBodies(address))
                else:
                    break
        if self._of_address:
            loop.call_later(LOOK_EVERY_SECONDS, self._look, loop)
        else:
            self._looked_at_by = None


_readings = _Readings()


async def read_body(receive: Receive, *, longest: int, address: str) -> bytes | None:
    """The body, or a little more than the `longest` of one that is too long; None when the client has gone.

    Raises: BodyLate, TooManyBodies.
    """
    reading = _readings.enter(address)
    try:
        return await _read(receive, longest)
    except asyncio.CancelledError:
        if reading.ended_by is not None and reading.task is not None:
            reading.task.uncancel()
            raise reading.ended_by from None
        raise
    finally:
        _readings.leave(reading)


async def _read(receive: Receive, longest: int) -> bytes | None:
    parts: list[bytes] = []
    size, is_complete = 0, False
    while not is_complete and size <= longest:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        is_complete = not message.get("more_body")
    return b"".join(parts)
