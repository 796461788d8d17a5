"""What is done to a call that is late: one thread of the process watches them all.

A thread for each call, as `threading.Timer` is one, takes half a millisecond, most of it two threads that wait for each
other.
"""

import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)


class Deadlines:
    """Calls `late` of each block that takes longer than it may, on a thread of its own, while the block goes on."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """A process that was forked has none of its parent's calls, and not its thread."""
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        # By time. What has ended stays until it would have been late: the next to end is seldom the next to be late.
        self._due: list[tuple[float, int]] = []
        self._late: dict[int, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def within(self, seconds: float, late: Callable[[], object]) -> Iterator[None]:
        """Have `late` called, on the watching thread, unless the block ends within `seconds`."""
        number, at = next(self._numbers), time.monotonic() + max(seconds, 0.0)
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                self._thread.start()
            self._late[number] = late
            heapq.heappush(self._due, (at, number))
            if self._due[0][1] == number:
                self._changed.notify()
        try:
            yield
        finally:
            self._late.pop(number, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                while not self._due or self._due[0][0] > now:
                    self._changed.wait(self._due[0][0] - now if self._due else None)
                    now = time.monotonic()
                _, number = heapq.heappop(self._due)
                late = self._late.pop(number, None)
            if late is not None:
                try:
                    late()
                except Exception:
                    log.exception("a call that is late was not ended")


deadlines = Deadlines()
