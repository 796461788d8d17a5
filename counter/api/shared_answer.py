"""One answer for everybody who asks the same: asked for by one at a time, and again after a moment.

For addresses that anybody may ask without credentials, whose answers cost connections: a crowd costs what one does.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

GOOD_FOR_SECONDS = 0.5


class SharedAnswer(Generic[T]):
    """Used on the event loop only."""

    def __init__(self) -> None:
        self._kept: T | None = None
        self._kept_at = 0.0
        self._asking: asyncio.Task[T] | None = None

    async def get(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What was answered a moment ago, or is answered to who asked already, or now. Raises: what `ask` raises."""
        if self._kept is not None and time.monotonic() - self._kept_at < GOOD_FOR_SECONDS:
            return self._kept
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask(ask))
        return await asyncio.shield(self._asking)  # who asked first may go

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        self._kept = answer = await ask()
        self._kept_at = time.monotonic()
        return answer
