"""Django's answers from their threads to the server, which never keep a thread for a client that does not read.

Invariant: a thread hands over a few parts at most ahead of its client, so that a long answer takes no more memory than
a short one; when the client has gone, or takes nothing for STALLED_AFTER_SECONDS, the answer is given up. So it is when
the event loop has ended: a process that is told to end waits for its threads.
"""

import asyncio
from typing import Any

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi import WSGIResponder

STALLED_AFTER_SECONDS = 30.0
LOOK_FOR_LOOP_EVERY_SECONDS = 1.0


class ClientGone(Exception):
    """Nobody takes the rest of an answer."""


class Responder(WSGIResponder):
    """One answer: the library's own waits for its client for ever."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._nobody_takes = asyncio.Event()

    async def sender(self, send: Any) -> None:
        """Hands on what the thread has handed over, in the event loop."""
        try:
            await super().sender(send)
        finally:
            self._nobody_takes.set()

    def send(self, message: Any) -> None:
        """Hand a part over, from the thread.

        Raises: ClientGone.
        """
        putting = asyncio.run_coroutine_threadsafe(self._put(message), loop=self.loop)
        while True:
            try:
                return putting.result(timeout=LOOK_FOR_LOOP_EVERY_SECONDS)
            except TimeoutError:
                if not self.loop.is_running():
                    putting.cancel()
                    raise ClientGone from None

    async def _put(self, message: Any) -> None:
        if not self.send_queue.full():
            self.send_queue.put_nowait(message)
            return
        putting = asyncio.ensure_future(self.send_queue.put(message))
        leaving = asyncio.ensure_future(self._nobody_takes.wait())
        await asyncio.wait(
            (putting, leaving), timeout=STALLED_AFTER_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        leaving.cancel()
        if not putting.done():
            putting.cancel()
            raise ClientGone


class OnThreads(WSGIMiddleware):
    """A WSGI application as an ASGI one."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        await Responder(self.app, self.executor, self.send_queue_size)(scope, receive, send)
