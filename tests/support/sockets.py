"""A client of the venue's websockets in a test's hands: what is sent and what comes is seen as it is."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.paper_process import KEY, SECRET

WITHIN_SECONDS = 60.0


class Socket:
    """One websocket; pings are answered unless it is told not to."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, method: str, params: Any = None, number: Any = 1) -> dict[str, Any]:
        """Send a request and return its answer; messages of streams before it are passed over."""
        request = {"method": method, "id": number} | ({} if params is None else {"params": params})
        await self.socket.send_str(json.dumps(request))
        while "id" not in (answer := await self.receive()) or answer["id"] != number:
            pass
        return answer

    async def receive(self, *, within_seconds: float = WITHIN_SECONDS) -> Any:
        """The next message. Raises: TimeoutError; ConnectionError once it is closed."""
        frame = await asyncio.wait_for(self.socket.receive(), within_seconds)
        if frame.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"{frame.type.name} {frame.data} {frame.extra}")
        return json.loads(frame.data)

    async def receive_many(self, *, seconds: float) -> list[Any]:
        """All messages of the next so many seconds."""
        found: list[Any] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    found.append(await self.receive())
        return found


@asynccontextmanager
async def connected(url: str, path: str, *, answers_pings: bool = True) -> AsyncIterator[Socket]:
    """A websocket to the venue at `url`. Raises: aiohttp.WSServerHandshakeError."""
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.ws_connect(url.replace("http", "ws", 1) + path, autoping=answers_pings) as socket,
    ):
        yield Socket(socket)


def talk(conversation: Callable[[], Awaitable[Any]]) -> Any:
    """Run a conversation to its end."""

    async def held() -> Any:
        return await conversation()

    return asyncio.run(held())


def signed(*, key: str = KEY, secret: str = SECRET, **params: Any) -> dict[str, Any]:
    """Parameters of a signed request on the websocket of requests."""
    sent = {"apiKey": key, "timestamp": time.time_ns() // 1_000_000, **params}
    text = "&".join(f"{name}={value}" for name, value in sorted(sent.items()))
    return {**sent, "signature": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}
