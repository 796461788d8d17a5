"""The order queue: all orders of a process meet in it, bounded, and one writer thread commits what has gathered.

The machine is `infra.coordination.group_queue`. Guards the callers: each gets its own outcome, and none waits beyond
its deadline, even if the writer or the database fails. What was not begun by then, or has lost its client, is
dropped and never placed.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from counter.orders.deadlines import COMMIT_WITHIN_SECONDS, TooLate, seconds_left, work_until
from counter.orders.placing import BatchTooLarge, place_orders
from counter.orders.requests import OrderRequest, Outcome
from counter.orders.throttle import throttle
from infra.coordination import clock
from infra.coordination.group_queue import Entry, GroupQueue, OutcomeUnknown, QueueFull
from infra.coordination.waiting import wake
from infra.db.pipeline import Statement, ask, prepare_here
from infra.db.transient_errors import LOCK_NOT_AVAILABLE, is_transient, sqlstate
from infra.observability import request_ids

log = structlog.get_logger(__name__)
_NOW = clock.of("default").now

WAITING_ORDERS = 2048
# What PostgreSQL says of a transaction that it has undone and that may well succeed the next time.
# Serialization failure, deadlock; a prepared statement that is gone, or of which a migration changed a type.
UNDONE_BY_THE_SERVER = ("40001", "40P01", "26000", "0A000")
# Somebody else may hold a customer's account, a person at a console for instance: that must not stop everybody's
# orders. Once it is known that one is held, finding out which is done in haste.
LOCK_WITHIN = "400ms"
LOCK_IN_HASTE = "100ms"
# Every plan goes by keys, so one for any batch is as good as one for this, and planning anew costs the server more than
# the rest of a small batch. A transaction that its writer says nothing in is ended: so long may a COMMIT be on its way.
SET_UP = """
    SELECT set_config('lock_timeout', %s, false), set_config('plan_cache_mode', 'force_generic_plan', false),
           set_config('idle_in_transaction_session_timeout', %s, false), set_config('statement_timeout', %s, false)
"""
# A writer that the database has not even told of a time-out (ORDER_WITHIN_SECONDS) so much later is left to its
# connection, and another one goes on: its COMMIT may wait for a standby.
LEFT_AFTER_SECONDS = 0.5
# Most orders are answered by then; only of those that are not it is asked whether their clients are still there.
LOOKS_FOR_CLIENT_AFTER_SECONDS = 0.1
TRIES = 3
# Small batches cost nearly what large ones do: those who were answered together get so long to be back together.
CROWD_RETURNS_WITHIN_SECONDS = 0.01

Place = Callable[..., list[Outcome]]


class _Entry(Entry):
    """One caller's requests, until when they may be placed, and what has become of them.

    `refused` are those, by their place, that are not taken because the desk is behind; `requests` are the others.
    """

    def __init__(self, requests: Sequence[OrderRequest], until: float | None) -> None:
        if len(requests) > settings.MAX_BATCH_ORDERS:
            raise BatchTooLarge(f"{len(requests)} orders in one batch, at most {settings.MAX_BATCH_ORDERS}")
        self.request_id = request_ids.current()
        self.refused = throttle.refused(requests)
        self.requests = requests
        if self.refused:
            self.requests = [each for place, each in enumerate(requests) if place not in self.refused]
        self.weight = len(self.requests)
        self.until = work_until(arrived=time.monotonic()) if until is None else until
        self.outcomes: list[Outcome] | None = None if self.requests else []
        self.is_answered = not self.requests

    @property
    def seconds_left(self) -> float:
        """For how long its caller waits: the answer to a COMMIT of the last moment may still come."""
        return seconds_left(self.until) + COMMIT_WITHIN_SECONDS

    def result(self) -> list[Outcome]:
        if self.error is not None:
            raise self.error
        assert self.outcomes is not None  # noqa: S101 - there is an error or there are outcomes
        if not self.refused:
            return self.outcomes
        placed = iter(self.outcomes)
        count = len(self.refused) + len(self.outcomes)
        return [self.refused.get(place) or next(placed) for place in range(count)]


class _Bounds:
    """Of the order queue (`group_queue.Bounds`)."""

    @property
    def waiting(self) -> int:
        return WAITING_ORDERS

    @property
    def together(self) -> int:
        return settings.MAX_BATCH_ORDERS

    @property
    def stuck_after_seconds(self) -> float:
        return settings.ORDER_WITHIN_SECONDS + LEFT_AFTER_SECONDS

    @property
    def crowd_returns_within_seconds(self) -> float:
        return CROWD_RETURNS_WITHIN_SECONDS


class OrderQueue:
    """The orders of a process, and the writer that commits them."""

    def __init__(self, *, place: Place = place_orders, clock: Callable[[], datetime] = _NOW) -> None:
        self._place = place
        self._clock = clock
        self._queue: GroupQueue[_Entry] = GroupQueue(
            self._write, name="order writer", bounds=_Bounds(), at_end=_disconnect
        )
        self._told = threading.local()  # the lock time-out, on each writer's connection

    def place(self, requests: Sequence[OrderRequest], *, until: float | None = None) -> list[Outcome]:
        """Decide and commit `requests`, together with what others bring meanwhile; an outcome for each.

        Those that the desk could not hedge soon are refused before anything is asked of the database (`throttle`).
        Nothing is committed after `until` (`deadlines.work_until`; as of an arrival now unless it is given).

        Raises: BatchTooLarge; QueueFull; OutcomeUnknown; what placing these very requests raises.
        """
        entry = _Entry(requests, until)
        if not entry.is_answered and not self._queue.wait(entry, seconds=entry.seconds_left):
            self._take_back(entry)
        return entry.result()

    async def place_soon(
        self,
        requests: Sequence[OrderRequest],
        *,
        until: float | None = None,
        client_gone: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> list[Outcome]:
        """`place` for coroutines: only the caller waits.

        What was not begun is withdrawn when the caller is cancelled, and when `client_gone` returns.
        """
        entry = _Entry(requests, until)
        if entry.is_answered:
            return entry.result()
        try:
            await self._queue.wait_soon(
                entry, seconds=min(LOOKS_FOR_CLIENT_AFTER_SECONDS, entry.seconds_left)
            )
            if not entry.is_answered:
                await self._wait_longer(entry, client_gone)
        except asyncio.CancelledError:
            self._withdraw(entry)
            raise
        if not entry.is_answered:
            self._take_back(entry)
        return entry.result()

    async def _wait_longer(
        self, entry: _Entry, client_gone: Callable[[], Coroutine[Any, Any, None]] | None
    ) -> None:
        """Wait for the rest of its time, or until its client has gone."""

        def looked(looking: asyncio.Task[None]) -> None:
            if not looking.cancelled() and looking.exception() is None:
                self._withdraw(entry)

        looking = None if client_gone is None else asyncio.ensure_future(client_gone())
        if looking is not None:
            looking.add_done_callback(looked)
        try:
            await self._queue.wait_on(entry, seconds=entry.seconds_left)
        finally:
            if looking is not None:
                looking.cancel()

    def stop(self) -> None:
        """Commit what waits, and end the writer and its connection; a later order starts it again."""
        self._queue.stop()

    def _withdraw(self, entry: _Entry) -> None:
        """Answer an entry that nobody has begun, and wake its caller."""
        if self._queue.withdraw(entry):
            entry.answer(QueueFull("the order was not reached in time"))
            wake([entry.waiter])

    def _take_back(self, entry: _Entry) -> None:
        """Withdraw an entry that nobody has begun; of one that is being committed nothing is known."""
        self._withdraw(entry)
        if not entry.is_answered:  # it may have been at this moment
            raise OutcomeUnknown("no answer from the database in time")

    def _write(self, entries: Sequence[_Entry]) -> None:
        self._commit(entries, LOCK_WITHIN)

    def _commit(self, waiting: Sequence[_Entry], lock_within: str) -> None:
        entries = self._in_time(waiting)
        if not entries:
            return
        requests = [request for entry in entries for request in entry.requests]
        try:
            outcomes = iter(self._placed(requests, lock_within, min(entry.until for entry in entries)))
        except TooLate:
            self._commit(entries, lock_within)  # without those whose time is over
        except Exception as error:  # noqa: BLE001 - if it passes it is told, else it is of the caller who caused it
            if sqlstate(error) == LOCK_NOT_AVAILABLE:
                held = QueueFull("the customer's account is held by somebody else")
                self._divide(entries, held, LOCK_IN_HASTE)
                return
            if not is_transient(error):
                self._divide(entries, error, lock_within)
                return
            log.warning(
                "database unavailable, orders unanswered",
                orders=len(requests),
                request_ids=[entry.request_id for entry in entries if entry.request_id],
                error=repr(error),
            )
            connection.close()  # the next batch connects anew
            for entry in entries:  # each with an error of its own, since raising one writes to it
                entry.answer(OutcomeUnknown(str(error)))
            wake(entry.waiter for entry in entries)
        else:
            for entry in entries:
                entry.outcomes, entry.is_answered = [next(outcomes) for _ in entry.requests], True
            wake(entry.waiter for entry in entries)

    def _divide(self, entries: Sequence[_Entry], error: Exception, lock_within: str) -> None:
        """Nothing is stored: find whose error it is, lest one caller's order takes the others' with it."""
        if len(entries) == 1:
            entries[0].answer(error)
            wake(entry.waiter for entry in entries)
            return
        half = len(entries) // 2
        self._commit(entries[:half], lock_within)
        self._commit(entries[half:], lock_within)

    def _in_time(self, entries: Sequence[_Entry]) -> Sequence[_Entry]:
        """Those that may still be placed; the others are told that they were not."""
        now = time.monotonic()
        late = [entry for entry in entries if entry.until <= now]
        if not late:
            return entries
        for entry in late:
            entry.answer(QueueFull("the order was not reached in time"))
        wake(entry.waiter for entry in late)
        return [entry for entry in entries if not entry.is_answered]

    def _placed(self, requests: Sequence[OrderRequest], lock_within: str, until: float) -> list[Outcome]:
        if connection.connection is None or lock_within != getattr(self._told, "lock_within", ""):
            prepare_here("default")
            ask(
                "default",
                Statement(
                    SET_UP, [lock_within, *(f"{seconds * 1000:.0f}ms" for seconds in _bounds_in_seconds())]
                ),
            )
            self._told.lock_within = lock_within
        for _ in range(TRIES - 1):
            try:
                return self._place(requests=requests, now=self._clock(), until=until)
            except DatabaseError as error:
                if sqlstate(error) not in UNDONE_BY_THE_SERVER:
                    raise
        return self._place(requests=requests, now=self._clock(), until=until)


def _bounds_in_seconds() -> tuple[float, float]:
    """Seconds that the server waits within a transaction, for us and for one of its own statements."""
    return COMMIT_WITHIN_SECONDS, settings.ORDER_WITHIN_SECONDS


def _disconnect() -> None:
    connection.close()


order_queue = OrderQueue()
