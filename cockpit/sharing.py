"""One reading for everybody who looks at the same moment: however many do, the databases are asked once."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

SHARED_FOR_SECONDS = 1.0
PAUSE_TIMES = 5  # and for so many times as long as reading it took

Read = TypeVar("Read")


class Shared(Generic[Read]):
    """One reading for everybody who asks this process within `seconds`; who asks meanwhile waits for it."""

    def __init__(self, read: Callable[..., Read], *, seconds: float = SHARED_FOR_SECONDS) -> None:
        self._read = read
        self._seconds = seconds
        self._lock = threading.Lock()
        self._found: Read | None = None
        self._good_until = 0.0

    def current(self, *, now: datetime) -> Read:
        """A reading that is so many seconds old at most, or older where reading takes long.

        Raises: what reading raises, DatabaseError above all.
        """
        with self._lock:
            started = time.monotonic()
            if self._found is None or started >= self._good_until:
                self._found = self._read(now=now)
                ended = time.monotonic()
                self._good_until = ended + max(self._seconds, PAUSE_TIMES * (ended - started))
            return self._found

    def forget(self) -> None:
        """Read anew when somebody asks next."""
        with self._lock:
            self._found = None
