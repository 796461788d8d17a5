"""Waiting for another thread's answer, on a thread or on an event loop, at the least cost of being woken."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress


class ThreadWaiter:
    """A thread that waits, once."""

    __slots__ = ("_woken",)

    def __init__(self) -> None:
        self._woken = threading.Lock()  # held until there is an answer: the cheapest thing to wait for once
        self._woken.acquire()

    def wait(self, *, seconds: float) -> bool:
        """Whether it was woken in time."""
        return self._woken.acquire(timeout=seconds)

    def wake(self) -> None:
        self._woken.release()


class LoopWaiter:
    """A coroutine that waits on the running loop, until it is woken once."""

    __slots__ = ("_woken", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    async def wait(self, *, seconds: float) -> None:
        """Until it is woken, or the time is up, after which it may wait again unless there is an answer by then."""
        self._woken: asyncio.Future[None] = self.loop.create_future()
        late = self.loop.call_later(seconds, _wake_here, [self])
        try:
            await self._woken
        finally:
            late.cancel()

    def wake_here(self) -> None:
        """Wake it, on its loop."""
        if not self._woken.done():
            self._woken.set_result(None)


Waiter = ThreadWaiter | LoopWaiter


def wake(waiters: Iterable[Waiter]) -> None:
    """Tell the callers that their answers are there; a loop is told once of all that it waits for."""
    of_loops: dict[asyncio.AbstractEventLoop, list[LoopWaiter]] = defaultdict(list)
    for waiter in waiters:
        if isinstance(waiter, LoopWaiter):
            of_loops[waiter.loop].append(waiter)
        else:
            waiter.wake()
    for loop, theirs in of_loops.items():
        with suppress(RuntimeError):  # a loop that is closed waits for nothing
            loop.call_soon_threadsafe(_wake_here, theirs)


def _wake_here(waiters: Iterable[LoopWaiter]) -> None:
    for waiter in waiters:
        waiter.wake_here()
