"""One websocket from its acceptance to its end: what is sent on it, what comes in, and for how long it lives.

Source of the rules: Binance Spot API documentation, "WebSocket Streams", "General WSS information".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

FRAME_BYTES = 64 * 1024
FRAMES_A_SECOND = 5  # pings, pongs and requests that a client may send
MOST_WAITING = 10_000  # messages; a client that reads more slowly than that loses its connection


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Binance's: a ping every 20 s, a minute for its pong, a day for the whole, 300 connections in five minutes."""

    ping_every_seconds: float = 20.0
    pong_within_seconds: float = 60.0
    lives_for_seconds: float = 86_400.0
    connections_per_5m: int = 300
    push_every_ms: int = 50


class Connection:
    """See the module. `answer` is given each text that comes in."""

    def __init__(self, settings: ConnectionSettings, *, clock_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._clock_ms = clock_ms
        self._socket = web.WebSocketResponse(compress=False, autoping=False, max_msg_size=FRAME_BYTES)
        self._outgoing: deque[str] = deque()
        self._has_more = asyncio.Event()
        self._arrived_at: deque[float] = deque(maxlen=FRAMES_A_SECOND)
        self._ponged_at = 0.0
        self._request: web.Request | None = None

    def send(self, message: str) -> None:
        """Send a text as soon as the client takes it."""
        if len(self._outgoing) >= MOST_WAITING:
            self.cut()
            return
        self._outgoing.append(message)
        self._has_more.set()

    def cut(self) -> None:
        """End the connection without a word."""
        if self._request is not None and self._request.transport is not None:
            self._request.transport.abort()

    async def serve(self, request: web.Request, answer: Callable[[str], None]) -> web.StreamResponse:
        """Talk until one side ends it or its time is over."""
        self._request = request
        await self._socket.prepare(request)
        self._ponged_at = asyncio.get_running_loop().time()
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._ping())]
        try:
            async with asyncio.timeout(self._settings.lives_for_seconds):
                await self._read(answer)
        except TimeoutError:
            await self._close(WSCloseCode.GOING_AWAY, "the connection has reached its age")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._socket

    async def _read(self, answer: Callable[[str], None]) -> None:
        async for frame in self._socket:
            if self._is_flooding():
                await self._close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
                return
            if frame.type is WSMsgType.PING:
                await self._socket.pong(frame.data)
            elif frame.type is WSMsgType.PONG:
                self._ponged_at = asyncio.get_running_loop().time()
            elif frame.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                answer(frame.data if isinstance(frame.data, str) else frame.data.decode("utf-8", "replace"))

    def _is_flooding(self) -> bool:
        now = asyncio.get_running_loop().time()
        is_full = len(self._arrived_at) == FRAMES_A_SECOND
        if is_full and now - self._arrived_at[0] < 1:
            return True
        self._arrived_at.append(now)
        return False

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self._has_more.wait()
                while self._outgoing:
                    await self._socket.send_str(self._outgoing.popleft())
                self._has_more.clear()

    async def _ping(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._settings.ping_every_seconds)
                silent = asyncio.get_running_loop().time() - self._ponged_at
                if silent > self._settings.ping_every_seconds + self._settings.pong_within_seconds:
                    await self._close(WSCloseCode.POLICY_VIOLATION, "Pong timeout")
                    return
                await self._socket.ping(str(self._clock_ms()).encode())

    async def _close(self, code: int, why: str) -> None:
        await self._socket.close(code=code, message=why.encode())
