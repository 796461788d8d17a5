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
        # By time. What has ended stays until the thread wakes for the next, and is passed over then.
        self._due: list[tuple[float, int]] = []
        self._late: dict[int, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def within(self, seconds: float, late: Callable[[], object]) -> Iterator[None]:
        """Have `late` called, on the watching thread, unless the block ends within `seconds`.

        Once the block has ended `late` has returned or is not called any more. It must not wait for anything: all
        calls of the process wait for it.
        """
        number, at = next(self._numbers), time.monotonic() + max(seconds, 0.0)
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                thread.start()  # where the machine has no thread left this call fails, and the next one tries again
                self._thread = thread
            self._late[number] = late
            heapq.heappush(self._due, (at, number))
            if self._due[0][1] == number:
                self._changed.notify()
        try:
            yield
        finally:
            # Else it could be cut while the caller is at its next call, on the same connection.
            with self._changed:
                self._late.pop(number, None)

    def _watch(self) -> None:
        with self._changed:
            while True:
                # But for the last: with nothing to wait for, the thread would have to be woken for the next call.
                while len(self._due) > 1 and self._due[0][1] not in self._late:
                    heapq.heappop(self._due)
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                _, number = heapq.heappop(self._due)
                late = self._late.pop(number, None)
                try:
                    if late is not None:
                        late()
                except Exception:
                    log.exception("a call that is late was not ended")


deadlines = Deadlines()
