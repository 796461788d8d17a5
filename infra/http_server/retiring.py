"""Ending a web process without one failed request: its door is closed first, then its clients are sent elsewhere.

On SIGTERM it takes no more connections, says `Connection: close` in every answer for a moment, and only then ends. The
listening socket is shared (`infra.http_server.lasting_sockets`), so what it no longer takes waits for another process.
"""

import asyncio
import os
import select
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.http_server import serving

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# Long enough for a client that sends a request now and then to have been told to go.
RETIRES_FOR_SECONDS = 2.0
CLOSE = (b"connection", b"close")


class Retiring:
    """An ASGI application: `application` from `at_start` until SIGTERM (`at_end`), and for a moment longer."""

    def __init__(
        self,
        application: Application,
        *,
        at_start: Callable[[], None],
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._application = application
        self._at_start = at_start
        self._at_end = at_end
        self._is_retiring = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._is_retiring:
            await self._application(scope, receive, _closing(send))
        else:
            await self._application(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """The server has set its own signal handlers by the time it says that it starts."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._at_start()
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._retire)
                await send({"type": "lifespan.startup.complete"})
                serving.tell()
            elif message["type"] == "lifespan.shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _retire(self) -> None:
        if self._is_retiring:
            return
        self._is_retiring = True
        stop_accepting()
        self._at_end()
        # The server ends on either signal; this one is still its own.
        asyncio.get_running_loop().call_later(RETIRES_FOR_SECONDS, signal.raise_signal, signal.SIGINT)


def _closing(send: Send) -> Send:
    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], CLOSE]}
        await send(message)

    return closing


def stop_accepting() -> None:
    """Have this process no longer told of new connections on any listening socket, which stays open (Linux only).

    The server has no call for this. Its event loop is an epoll instance, from which the socket is taken; where that
    cannot be done it goes on accepting, and ends with a small window in which a new connection may be lost.
    """
    for listing in Path("/proc/self/fdinfo").glob("*"):
        with suppress(OSError, ValueError):
            watched = [
                int(line.split()[1]) for line in listing.read_text().splitlines() if line.startswith("tfd:")
            ]
            for descriptor in filter(_is_listening, watched):
                # A copy, for the object closes what it is given.
                with select.epoll.fromfd(os.dup(int(listing.name))) as poller:
                    poller.unregister(descriptor)


def _is_listening(descriptor: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as found:
            return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
