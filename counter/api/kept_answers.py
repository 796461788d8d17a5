"""Answers that are everybody's, kept for a moment: a crowd that asks for the market costs what one of it does.

Guards the processes that take orders: without credentials each address may ask often, and all prices together cost
much. An answer is as of the moment at which it was begun, and nobody gets one that is older than GOOD_FOR.
"""

from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

T = TypeVar("T")

GOOD_FOR = timedelta(seconds=0.5)
KEPT_AT_MOST = 64  # addresses with their filters
# Who asks for what somebody else is asking for already waits so long for that answer, and asks then.
AWAITED_SECONDS = 1.0
LOCKS = 16


class KeptAnswers(Generic[T]):
    """For all threads of a process; by `clock`, which may leap."""

    def __init__(self) -> None:
        self._kept: LRUCache[Hashable, tuple[datetime, T]] = LRUCache(KEPT_AT_MOST)
        self._changing = Lock()
        self._asking = [Lock() for _ in range(LOCKS)]

    def get(self, asked: Hashable, ask: Callable[[datetime], T], *, clock: Callable[[], datetime]) -> T:
        """What was answered to `asked` a moment ago, else what `ask` answers as of now.

        Raises: what `ask` and `clock` raise.
        """
        found = self._found(asked, clock())
        if found is not None:
            return found[1]
        lock = self._asking[hash(asked) % LOCKS]
        is_alone = lock.acquire(timeout=AWAITED_SECONDS)
        try:
            now = clock()
            found = self._found(asked, now)
            if found is None:
                found = now, ask(now)
                with self._changing:
                    self._kept[asked] = found
            return found[1]
        finally:
            if is_alone:
                lock.release()

    def _found(self, asked: Hashable, now: datetime) -> tuple[datetime, T] | None:
        with self._changing:
            found = self._kept.get(asked)
        # Not by its order: a clock that was put back would keep what lies ahead of it.
        return found if found is not None and abs(now - found[0]) < GOOD_FOR else None
