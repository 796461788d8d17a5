"""A bounded queue whose callers share the work: one thread takes what has gathered, and answers each caller.

While the thread works on a group the next one gathers, so a lone caller waits for nobody and a crowd shares one commit
or one statement. Guards the callers: each is answered, and none waits beyond its time, even if the thread dies.
"""

import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog

from infra.coordination.waiting import LoopWaiter, ThreadWaiter, Waiter, wake

log = structlog.get_logger(__name__)

# A thread that is stuck is left to what it waits for, and another one goes on. So many may be left.
LEFT_AT_MOST = 4
# Callers who were answered together mostly ask again together. Were the first of them to come back not made to wait for
# the others, it would have a group to itself and they would wait for its end: half of all groups would be tiny.
CROWD_CALLERS = 4


class QueueFull(Exception):
    """As much waits as may wait, or the work was not begun in time; nothing was done."""


class OutcomeUnknown(Exception):
    """The end of the work was not heard of: it may have been done or not."""


class Entry:
    """What one caller asks for, and what has become of it; `weight` counts against the queue's bounds."""

    weight: int = 1
    waiter: Waiter
    error: Exception | None = None
    is_answered: bool = False

    def answer(self, error: Exception) -> None:
        """There is an error in place of an answer."""
        self.error, self.is_answered = error, True

    def give_up(self, reason: str) -> None:
        """The thread has ended without an answer. An error of its own, since raising one writes to it."""
        self.answer(OutcomeUnknown(reason))


E = TypeVar("E", bound=Entry)


class QueueBounds(Protocol):
    """What a queue allows: each is read when it counts, for settings may change."""

    @property
    def waiting(self) -> int:
        """As much weight may wait."""

    @property
    def together(self) -> int:
        """As much weight is worked on as one group."""

    @property
    def stuck_after_seconds(self) -> float | None:
        """A thread that has been at one group for so long is stuck; None if its work ends by itself."""

    @property
    def crowd_returns_within_seconds(self) -> float:
        """So long a group waits for the callers of the last one; 0 if it does not."""


class Worker(threading.Thread):
    """`busy_since` it works on a group, by the monotonic clock; None while it waits for one."""

    busy_since: float | None = None


def _never() -> None:
    return None


class GroupQueue(Generic[E]):
    """One bounded queue with one thread, which is started by the first caller and again if it has died.

    `work` answers each entry of a group and wakes its caller; what it leaves unanswered is given up. It is called with
    an empty group when `idle_seconds` have passed without a caller (None: never). `at_end` runs last on each thread.
    """

    def __init__(
        self,
        work: Callable[[Sequence[E]], None],
        *,
        name: str,
        bounds: QueueBounds,
        at_end: Callable[[], None],
        idle_seconds: Callable[[], float | None] = _never,
    ) -> None:
        self._work = work
        self._name = name
        self._bounds = bounds
        self._at_end = at_end
        self._idle_seconds = idle_seconds
        self._waiting: deque[E] = deque()
        self._weight = 0  # of what waits
        self._changed = threading.Condition()
        self._taken_last = 0  # callers, of the last group
        self._awaited = 1  # callers without whom the thread need not wake
        self._worker: Worker | None = None
        self._left: list[Worker] = []  # that were stuck

    def __len__(self) -> int:
        """Callers who wait."""
        return len(self._waiting)

    @property
    def weight(self) -> int:
        """Of what waits."""
        return self._weight

    def wait(self, entry: E, *, seconds: float) -> bool:
        """Enter, and wait for the answer, but no longer; whether it has come.

        Raises: QueueFull.
        """
        waiter = entry.waiter = ThreadWaiter()
        self._enter(entry)
        return waiter.wait(seconds=seconds)

    def wait_soon(self, entry: E, *, seconds: float) -> Awaitable[None]:
        """Enter, for a coroutine to await the answer: only the caller waits. `is_answered` says whether it has come.

        Raises: QueueFull.
        """
        waiter = entry.waiter = LoopWaiter()
        self._enter(entry)
        return waiter.wait(seconds=seconds)

    def wait_on(self, entry: E, *, seconds: float) -> Awaitable[None]:
        """Go on awaiting the answer to an entry that had none in the time of `wait_soon`."""
        waiter = entry.waiter
        assert isinstance(waiter, LoopWaiter)  # noqa: S101 - it was entered by a coroutine
        return waiter.wait(seconds=seconds)

    def withdraw(self, entry: E) -> bool:
        """Take out an entry that nobody has begun; whether it was one. Its caller is told by whom it asked."""
        with self._changed:
            if entry not in self._waiting:
                return False
            self._waiting.remove(entry)
            self._weight -= entry.weight
            return True

    def stop(self) -> None:
        """Answer what waits, and end the thread; a later caller starts it again."""
        with self._changed:
            worker, self._worker = self._worker, None
            self._changed.notify_all()
        if worker is not None:
            worker.join()

    def _enter(self, entry: E) -> None:
        with self._changed:
            if self._weight + entry.weight > self._bounds.waiting:
                raise QueueFull(f"{self._weight} wait already")
            self._ensure_worker()  # first: what nobody would work on must not wait
            self._waiting.append(entry)
            self._weight += entry.weight
            if len(self._waiting) >= self._awaited or self._weight >= self._bounds.together:
                self._changed.notify()

    def _ensure_worker(self) -> None:
        if self._worker is not None and is_stuck(self._worker, self._bounds) and self._worker.is_alive():
            self._left = [worker for worker in self._left if worker.is_alive()]
            if len(self._left) < LEFT_AT_MOST:
                log.warning("a thread is stuck, another one goes on", thread=self._name)
                self._left.append(self._worker)
                self._worker = None
        if self._worker is None or not self._worker.is_alive():
            self._worker = Worker(target=self._run, name=self._name, daemon=True)
            self._worker.start()

    def _run(self) -> None:
        me: Any = threading.current_thread()
        try:
            while (group := self._gather()) is not None:
                me.busy_since = time.monotonic()
                try:
                    self._work(group)
                finally:  # also when this thread ends here: nobody is left waiting
                    _give_up(group)
                me.busy_since = None
        finally:
            self._hand_over()
            self._at_end()

    def _hand_over(self) -> None:
        """Leave what waits to a new thread: this one still counts as alive, and will take nothing more."""
        with self._changed:
            if self._worker is threading.current_thread():
                self._worker = None
            if self._waiting:
                self._ensure_worker()

    def _gather(self) -> list[E] | None:
        """Wait for a first entry, and take along as many as one group may hold; None when it is time to end.

        An empty group when nobody has come for as long as it may wait.
        """
        with self._changed:
            me = threading.current_thread()
            self._await_crowd(me)
            while not self._waiting and self._worker is me:
                if not self._changed.wait(self._idle_seconds()):
                    break
            if self._worker not in (me, None) or (self._worker is None and not self._waiting):
                return None  # there is a successor, or an end
            return self._take()

    def _take(self) -> list[E]:
        """The next group; `_changed` is held."""
        together = self._bounds.together
        if self._weight <= together:
            group, self._weight = list(self._waiting), 0
            self._waiting.clear()
        else:
            group = [self._waiting.popleft()]
            weight = group[0].weight
            while self._waiting and weight + self._waiting[0].weight <= together:
                group.append(self._waiting.popleft())
                weight += group[-1].weight
            self._weight -= weight
        self._taken_last = len(group)
        return group

    def _await_crowd(self, me: threading.Thread) -> None:
        """Give the callers of the last group, if they were many, the time to be back; `_changed` is held."""
        if self._taken_last < CROWD_CALLERS or len(self._waiting) >= self._taken_last:
            return
        seconds = self._bounds.crowd_returns_within_seconds
        if seconds and self._weight < self._bounds.together and self._worker is me:
            self._awaited = self._taken_last
            try:
                self._changed.wait(seconds)
            finally:
                self._awaited = 1


def is_stuck(worker: Worker, bounds: QueueBounds) -> bool:
    """Whether a worker has been at one group for longer than it may."""
    since = worker.busy_since
    if since is None:
        return False
    longest = bounds.stuck_after_seconds
    return longest is not None and time.monotonic() - since > longest


def _give_up(group: Sequence[Entry]) -> None:
    """Tell those who have no answer that there will be none."""
    unanswered = [entry for entry in group if not entry.is_answered]
    for entry in unanswered:
        entry.give_up("the thread ended before it had an answer")
    if unanswered:
        wake(entry.waiter for entry in unanswered)
