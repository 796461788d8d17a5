"""The one reader of a process: asks the database for all listeners at once, four times a second, and tells them.

A thread of its own: the event loop only hands on what it finds. How many statements it makes does not depend on how
many listen.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog
from django.conf import settings
from django.db import close_old_connections
from django.db.models import Max

from counter.models import Quote
from counter.stream.changes import Following, Told
from counter.stream.credentials import revoked
from counter.stream.listener import Listener
from counter.stream.messages import Heartbeat, event, events_of, last_of
from counter.stream.quote_board import QuoteBoard
from counter.stream.stream_processes import Counts, note
from infra.coordination import clock

log = structlog.get_logger(__name__)

READ_EVERY_SECONDS = 0.25
AFTER_A_FAILURE_SECONDS = 1.0
HEARTBEAT_EVERY_SECONDS = 15.0
REVOKED_WITHIN_SECONDS = 3.0
NOTED_EVERY_SECONDS = 5.0

# None for a listener whose credentials were revoked.
Piece = tuple[Listener, bytes | None]


class Reader:
    """Tells the listeners who have joined; `deliver` is called on `loop` with what each is to be sent.

    It also notes the `counts` of this process for those who watch it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[list[Piece]], None],
        counts: Callable[[], Counts],
    ) -> None:
        self._loop = loop
        self._deliver = deliver
        self._counts = counts
        self._started_at: datetime | None = None  # by the first reading: the database need not be there yet
        self._coming: queue.SimpleQueue[tuple[Listener, Told | None]] = queue.SimpleQueue()
        self._going: queue.SimpleQueue[Listener] = queue.SimpleQueue()
        self._listeners: dict[
            int, dict[Listener, None]
        ] = {}  # of own changes, by customer, in order of coming
        self._of_quotes: dict[Listener, None] = {}
        self._without_quotes: list[Listener] = []  # who have not been told the quotes of now
        self._following = Following()
        self._board = QuoteBoard()
        self._quoted_at: datetime | None = None
        self._quotes_due_at = self._heartbeat_due_at = self._revocations_due_at = self._note_due_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self.read_at = time.monotonic()  # when the database last answered everything

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; does not wait."""
        self._stopping.set()

    def join(self, listener: Listener, told: Told | None) -> None:
        """Tell a listener what changes from now on; `told` is what its customer knows, None without own channels."""
        self._coming.put((listener, told))

    def leave(self, listener: Listener) -> None:
        """Tell it no more; it has joined before."""
        self._going.put(listener)

    def _run(self) -> None:
        pause_seconds = READ_EVERY_SECONDS
        while not self._stopping.wait(pause_seconds):
            started = time.monotonic()
            try:
                self.tick(now=clock.of("default").now())
                self.read_at = time.monotonic()
                pause_seconds = max(0, READ_EVERY_SECONDS - (self.read_at - started))
            except Exception as error:  # noqa: BLE001 - listeners outlive the database
                log.warning("changes cannot be read", error=repr(error))
                close_old_connections()
                pause_seconds = AFTER_A_FAILURE_SECONDS

    def tick(self, *, now: datetime) -> None:
        """Read once and hand on what is found. Raises: database errors; what was not told is told by the next tick."""
        self._take_in()
        # Each part is handed on at once, for what was read counts as told, though a later part fail.
        for part in (self._own_changes, self._quotes, self._revocations, self._heartbeats):
            if found := part(now):
                self._loop.call_soon_threadsafe(self._deliver, found)
        if time.monotonic() >= self._note_due_at:
            self._note_due_at = time.monotonic() + NOTED_EVERY_SECONDS
            self._started_at = self._started_at or now
            note(self._counts(), started_at=self._started_at, now=now)

    def _take_in(self) -> None:
        going = []  # taken first: who goes has come before, and is not left here
        while not self._going.empty():
            going.append(self._going.get())
        while not self._coming.empty():
            listener, told = self._coming.get()
            if told is not None:
                self._following.follow(told)
                self._listeners.setdefault(listener.customer_id, {})[listener] = None
            if listener.hears_quotes:
                self._of_quotes[listener] = None
                self._without_quotes.append(listener)
        for listener in going:
            self._let_go(listener)

    def _let_go(self, listener: Listener) -> None:
        self._of_quotes.pop(listener, None)
        mates = self._listeners.get(listener.customer_id, {})
        mates.pop(listener, None)
        if not mates:
            self._listeners.pop(listener.customer_id, None)
            self._following.leave(listener.customer_id)

    def _own_changes(self, now: datetime) -> list[Piece]:
        pieces: list[Piece] = []
        for customer_id, change in self._following.read(now=now).items():
            events, mark = events_of(change), self._following.mark(customer_id, now)
            for listener in self._listeners[customer_id]:
                own = [each for channel in events for each in events[channel] if channel in listener.own]
                if own:
                    pieces.append((listener, last_of(own, mark)))
        return pieces

    def _quotes(self, now: datetime) -> list[Piece]:
        """With each tick of the feed, and once a second without: prices grow stale by themselves."""
        if not self._of_quotes:
            return []
        quoted_at = Quote.objects.aggregate(newest=Max("quoted_at"))["newest"]
        is_due = time.monotonic() >= self._quotes_due_at or quoted_at != self._quoted_at
        if not (is_due or self._without_quotes):
            return []
        self._board.read((listener.wanted for listener in self._of_quotes), now=now)
        self._quoted_at = quoted_at
        self._quotes_due_at = time.monotonic() + settings.QUOTE_EVERY_SECONDS
        new, self._without_quotes = set(self._without_quotes), []
        pieces: list[Piece] = []
        for listener in self._of_quotes:
            wanted = listener.wanted
            piece = self._board.whole(wanted) if listener in new else self._board.change(wanted)
            if piece is not None:
                pieces.append((listener, piece))
        return pieces

    def _heartbeats(self, now: datetime) -> list[Piece]:
        if time.monotonic() < self._heartbeat_due_at:
            return []
        self._heartbeat_due_at = time.monotonic() + HEARTBEAT_EVERY_SECONDS
        beat = event("heartbeat", Heartbeat(now))
        return [(listener, beat) for listener in self._everybody()]

    def _revocations(self, now: datetime) -> list[Piece]:
        if time.monotonic() < self._revocations_due_at:
            return []
        self._revocations_due_at = time.monotonic() + REVOKED_WITHIN_SECONDS
        listeners = self._everybody()
        gone = revoked({listener.credential for listener in listeners}, now=now)
        return [(listener, None) for listener in listeners if listener.credential in gone]

    def _everybody(self) -> list[Listener]:
        own = {listener: None for mates in self._listeners.values() for listener in mates}
        return list(own | self._of_quotes)
