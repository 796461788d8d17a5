"""One connected client: what waits to be sent to it, within a bound.

Used on the event loop only.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from counter.stream.credentials import Credential
from counter.stream.messages import OWN_CHANNELS, QUOTES, end_event
from counter.stream.quote_board import Wanted

# What may wait for a client that does not read, besides what the system's sockets hold: some seconds of all prices.
MAX_WAITING_BYTES = 1_000_000
# Within this time it has to have taken what was being sent when it was cut off.
CUT_AFTER_SECONDS = 5.0


class Listener:
    """A client that asked for `channels` of a customer, and for the quotes that are `wanted`."""

    def __init__(
        self, *, customer_id: int, channels: frozenset[str], wanted: Wanted, credential: Credential
    ) -> None:
        self.customer_id = customer_id
        self.channels = channels
        self.wanted = wanted
        self.credential = credential
        self.reason: str | None = None  # of its end, once it has one
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task | None = None

    @property
    def own(self) -> frozenset[str]:
        """The channels of its customer's changes that it asked for."""
        return self.channels & OWN_CHANNELS

    @property
    def hears_quotes(self) -> bool:
        """Whether it asked for prices."""
        return QUOTES in self.channels

    def put(self, piece: bytes) -> bool:
        """Send this when it has taken what came before; False when it has an end, or gets one for being too slow."""
        if self.reason is not None:
            return False
        if self._size + len(piece) > MAX_WAITING_BYTES:
            self.end("too_slow")
            return False
        self._waiting.append(piece)
        self._size += len(piece)
        self._wake.set()
        return True

    def end(self, reason: str) -> None:
        """Let it go, after what waits for it, or without that if it is too slow; "gone" if it left by itself."""
        if self.reason is not None:
            return
        self.reason = reason
        if reason in ("too_slow", "gone"):
            self._waiting.clear()
        if reason != "gone":
            self._waiting.append(end_event(reason))  # type: ignore[arg-type]
        self._wake.set()
        if self._task is not None:
            asyncio.get_running_loop().call_later(CUT_AFTER_SECONDS, self._task.cancel)

    async def pieces(self) -> AsyncIterator[bytes]:
        """What to send, until its end."""
        self._task = asyncio.current_task()
        while True:
            while self._waiting:
                piece = self._waiting.popleft()
                yield piece
                self._size -= len(piece)
            if self.reason is not None:
                return
            self._wake.clear()
            await self._wake.wait()
