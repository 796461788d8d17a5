"""The gate: all orders of a process meet in one bounded queue, and one writer thread commits what has gathered.

While the writer commits a batch the next one gathers, so a lone order waits for nobody and a crowd shares one commit;
those who were answered together get a moment to be back together, as small batches cost nearly what large ones do.
Guards the callers: each gets its own outcome, and none waits for ever, whatever becomes of the writer or the database.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone

from config.pipeline import Asked, ask, prepare_here
from counter.ordering.order_requests import OrderRequest, Outcome
from counter.ordering.orders import BatchTooLarge, place_orders
from counter.waiting import LoopWaiter, ThreadWaiter, Waiter, wake

log = structlog.get_logger(__name__)

WAITING_ORDERS = 2048
ANSWER_WITHIN_SECONDS = 5.0
# What PostgreSQL says of a transaction that it has undone and that may well succeed the next time.
# Serialization failure, deadlock; a prepared statement that is gone, or of which a migration changed a type.
UNDONE_BY_THE_SERVER = ("40001", "40P01", "26000", "0A000")
# Somebody else may hold a customer's account, a person at a console for instance: that must not stop everybody's
# orders. Once it is known that one is held, finding out which is done in haste.
LOCK_WITHIN = "2s"
LOCK_IN_HASTE = "100ms"
LOCK_NOT_AVAILABLE = "55P03"
# Every plan goes by keys, so one for any batch is as good as one for this, and planning anew costs the server more than
# the rest of a small batch.
SET_UP = (
    "SELECT set_config('lock_timeout', %s, false), set_config('plan_cache_mode', 'force_generic_plan', false)"
)
TRIES = 3
# Callers who were answered together mostly ask again together. Were the first of them to come back not made to wait for
# the others, he would have a commit of his own and they would wait for its end: half of all batches would be tiny.
CROWD_CALLERS = 4
CROWD_RETURNS_WITHIN_SECONDS = 0.01

Place = Callable[..., list[Outcome]]


class GateError(Exception):
    """An order that got no outcome; it may be sent again under its client order id, whatever the reason."""


class GateFull(GateError):
    """As many orders wait as may wait; nothing was done with this one."""


class OutcomeUnknown(GateError):
    """The commit was not heard of: the order may have been placed or not."""


class _Entry:
    """One caller's requests, and what has become of them."""

    __slots__ = ("error", "is_answered", "outcomes", "requests", "waiter")

    def __init__(self, requests: Sequence[OrderRequest], waiter: Waiter) -> None:
        self.requests = requests
        self.waiter = waiter
        self.outcomes: list[Outcome] | None = None
        self.error: Exception | None = None
        self.is_answered = False

    def result(self) -> list[Outcome]:
        if self.error is not None:
            raise self.error
        assert self.outcomes is not None  # noqa: S101 - there is an error or there are outcomes
        return self.outcomes


class Gate:
    """One bounded queue with one writer thread, which is started by the first order and again if it has died."""

    def __init__(self, *, place: Place = place_orders, clock: Callable[[], datetime] = timezone.now) -> None:
        self._place = place
        self._clock = clock
        self._waiting: deque[_Entry] = deque()
        self._waiting_orders = 0
        self._changed = threading.Condition()
        self._taken_last = 0  # callers, of the last batch
        self._awaited = 1  # callers without whom the writer need not wake
        self._writer: threading.Thread | None = None
        self._lock_within = ""  # as the writer's connection was told

    def place(self, requests: Sequence[OrderRequest]) -> list[Outcome]:
        """Decide and commit `requests`, together with what others bring meanwhile; an outcome for each.

        Raises: BatchTooLarge; GateFull; OutcomeUnknown; whatever else placing these very requests raises.
        """
        waiter = ThreadWaiter()
        entry = _Entry(requests, waiter)
        self._enter(entry)
        if not waiter.wait(seconds=ANSWER_WITHIN_SECONDS):
            self._take_back(entry)
        return entry.result()

    async def place_soon(self, requests: Sequence[OrderRequest]) -> list[Outcome]:
        """`place` for coroutines: only the caller waits."""
        waiter = LoopWaiter()
        entry = _Entry(requests, waiter)
        self._enter(entry)
        await waiter.wait(seconds=ANSWER_WITHIN_SECONDS)
        if not entry.is_answered:
            self._take_back(entry)
        return entry.result()

    def _enter(self, entry: _Entry) -> None:
        count = len(entry.requests)
        if count > settings.MAX_BATCH_ORDERS:
            raise BatchTooLarge(f"{count} orders in one batch, at most {settings.MAX_BATCH_ORDERS}")
        with self._changed:
            if self._waiting_orders + count > WAITING_ORDERS:
                raise GateFull(f"{self._waiting_orders} orders wait already")
            self._ensure_writer()  # first: an order that nobody would write must not wait
            self._waiting.append(entry)
            self._waiting_orders += count
            if len(self._waiting) >= self._awaited or self._waiting_orders >= settings.MAX_BATCH_ORDERS:
                self._changed.notify()

    def stop(self) -> None:
        """Commit what waits, and end the writer and its connection; a later order starts it again."""
        with self._changed:
            writer, self._writer = self._writer, None
            self._changed.notify_all()
        if writer is not None:
            writer.join()

    def _take_back(self, entry: _Entry) -> None:
        """Withdraw an entry that nobody has begun; of one that is being committed nothing is known."""
        with self._changed:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._waiting_orders -= len(entry.requests)
                raise GateFull("the order was not reached in time")
        if not entry.is_answered:  # it may have been at this moment
            raise OutcomeUnknown("no answer from the database in time")

    def _ensure_writer(self) -> None:
        if self._writer is None or not self._writer.is_alive():
            self._writer = threading.Thread(target=self._write, name="order writer", daemon=True)
            self._writer.start()

    def _write(self) -> None:
        try:
            while entries := self._gather():
                try:
                    self._commit(entries)
                finally:  # also when this thread ends here: nobody is left waiting
                    self._fail(entries, "the writer ended before it had an answer")
        finally:
            self._hand_over()
            connection.close()

    def _hand_over(self) -> None:
        """Leave what waits to a new writer: this thread still counts as alive, and will take nothing more."""
        with self._changed:
            if self._writer is threading.current_thread():
                self._writer = None
            if self._waiting:
                self._ensure_writer()

    def _gather(self) -> list[_Entry]:
        """Wait for a first entry, and take along as many as one transaction may hold; none when it is time to end."""
        with self._changed:
            me = threading.current_thread()
            self._await_crowd(me)
            while not self._waiting and self._writer is me:
                self._changed.wait()
            if self._writer not in (me, None):
                return []  # there is a successor
            entries: list[_Entry] = []
            orders = 0
            while self._waiting and orders + len(self._waiting[0].requests) <= settings.MAX_BATCH_ORDERS:
                entries.append(self._waiting.popleft())
                orders += len(entries[-1].requests)
            self._waiting_orders -= orders
            self._taken_last = len(entries)
            return entries

    def _await_crowd(self, me: threading.Thread) -> None:
        """Give the callers of the last batch, if they were many, the time to be back; `_changed` is held."""
        missing = self._taken_last >= CROWD_CALLERS and len(self._waiting) < self._taken_last
        if missing and self._waiting_orders < settings.MAX_BATCH_ORDERS and self._writer is me:
            self._awaited = self._taken_last
            try:
                self._changed.wait(CROWD_RETURNS_WITHIN_SECONDS)
            finally:
                self._awaited = 1

    def _commit(self, entries: Sequence[_Entry], lock_within: str = LOCK_WITHIN) -> None:
        requests = [request for entry in entries for request in entry.requests]
        try:
            outcomes = iter(self._placed(requests, lock_within))
        except (OperationalError, InterfaceError) as error:
            if _sqlstate(error) == LOCK_NOT_AVAILABLE:
                held = GateFull("the customer's account is held by somebody else")
                self._divide(entries, held, LOCK_IN_HASTE)
                return
            log.warning("database unavailable, orders unanswered", orders=len(requests), error=repr(error))
            connection.close()  # the next batch connects anew
            self._fail(entries, str(error))
        except Exception as error:  # noqa: BLE001 - it belongs to the caller whose order caused it
            self._divide(entries, error, lock_within)
        else:
            for entry in entries:
                entry.outcomes, entry.is_answered = [next(outcomes) for _ in entry.requests], True
            wake(entry.waiter for entry in entries)

    def _divide(self, entries: Sequence[_Entry], error: Exception, lock_within: str) -> None:
        """Nothing is stored: find whose error it is, lest one caller's order takes the others' with it."""
        if len(entries) == 1:
            entries[0].error, entries[0].is_answered = error, True
            wake(entry.waiter for entry in entries)
            return
        half = len(entries) // 2
        self._commit(entries[:half], lock_within)
        self._commit(entries[half:], lock_within)

    def _fail(self, entries: Sequence[_Entry], reason: str) -> None:
        """Answer what has no answer yet; each with an error of its own, since whoever raises one writes to it."""
        failed = [entry for entry in entries if not entry.is_answered]
        for entry in failed:
            entry.error, entry.is_answered = OutcomeUnknown(reason), True
        wake(entry.waiter for entry in failed)

    def _placed(self, requests: Sequence[OrderRequest], lock_within: str) -> list[Outcome]:
        if connection.connection is None or lock_within != self._lock_within:
            prepare_here("default")
            ask("default", Asked(SET_UP, [lock_within]))
            self._lock_within = lock_within
        for _ in range(TRIES - 1):
            try:
                return self._place(requests=requests, now=self._clock())
            except DatabaseError as error:
                if _sqlstate(error) not in UNDONE_BY_THE_SERVER:
                    raise
        return self._place(requests=requests, now=self._clock())


def _sqlstate(error: Exception) -> str | None:
    """What PostgreSQL calls the error, if it is one of its own."""
    return getattr(error.__cause__, "sqlstate", None)


gate = Gate()
