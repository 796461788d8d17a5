"""Leadership: of several processes that could do a work, the one that does it, and what it writes.

A session lock of the database says who leads: it is free as soon as its holder's connection ends. A lease beside it
says whether the holder still works: one that is paused or cut off renews no lease, is cut off by a standby, and finds
its token outdated in its next write. Times are the database's, or distances on one machine's monotonic clock. A lease
that was renewed in the future is no sign of life: the database's clock was set back.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from django.db import Error, OperationalError, connections
from django.db.backends.utils import CursorWrapper
from psycopg import errors

from infra.coordination import clock
from infra.coordination.ages import AHEAD_TOLERANCE
from infra.coordination.leader import lock_key
from infra.observability.program import program_name

log = structlog.get_logger(__name__)

RENEW_EVERY_SECONDS = 1.0
# A leader that could not renew for so long is deposed; a standby that sees none for longer takes over.
LEADS_FOR_SECONDS = 4.0
SILENT_AFTER_SECONDS = 5.0
# What was being written when the leader changed may be finished; a connection that takes longer is ended.
WRITES_END_WITHIN_SECONDS = 1.0
CONTEND_EVERY_SECONDS = 0.5
POLL_SECONDS = 0.2

CLAIM = """
    INSERT INTO config_lease AS l (name, token, holder, won_at, renewed_at)
    VALUES (%s, 1, %s, clock_timestamp(), clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET token = l.token + 1, holder = EXCLUDED.holder,
        won_at = EXCLUDED.won_at, renewed_at = EXCLUDED.renewed_at
    RETURNING token
"""
RENEW = """
    UPDATE config_lease SET renewed_at = clock_timestamp() WHERE name = %s AND token = %s AND holder = %s
"""
SHARE = "SELECT pg_try_advisory_lock_shared(%s)"
SHARE_IN_TRANSACTION = "SELECT pg_try_advisory_xact_lock_shared(%s)"
# Looked at by a statement of its own, after the lock of those who write is held: one that takes the lock sees the lease
# as it was before, and by then a new leader may have found nobody writing.
IS_OURS = "SELECT FROM config_lease WHERE name = %s AND token = %s AND holder = %s"
END_HOLDERS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND pid <> pg_backend_pid()
"""
END_SILENT_LEADER = f"""
    {END_HOLDERS} AND EXISTS (SELECT FROM config_lease
        WHERE name = %s AND (renewed_at < clock_timestamp() - make_interval(secs => %s)
            OR renewed_at > clock_timestamp() + make_interval(secs => %s)))
"""


class LeadershipLost(Exception):
    """Another process leads, or is about to: what was to be written is not."""


class Term:
    """One process's leadership from its winning to its loss. A term that is over stays over."""

    def __init__(self, *, name: str, using: str, token: int, holder: str, until: float) -> None:
        self.name = name
        self.token = token
        self._using = using
        self._identity: tuple[str, int, str] = (name, token, holder)
        self._until = until

    def holds(self) -> bool:
        """Whether this process may still think that it leads: enough to begin work, not to write."""
        return time.monotonic() < self._until

    def extend(self, *, until: float) -> bool:
        """Go on, unless the term is over by now."""
        if self.holds():
            self._until = until
        return self.holds()

    def end(self) -> None:
        """It is over."""
        self._until = 0.0

    def fence(self) -> None:
        """Have this transaction commit only as the leader's: the next leader waits for its end.

        Raises: LeadershipLost; the transaction has to be rolled back then.
        """
        connection = connections[self._using]
        if not connection.in_atomic_block:
            raise RuntimeError("only a transaction can be fenced")
        with connection.cursor() as cursor:
            self._share(cursor, SHARE_IN_TRANSACTION)
            self._require_lease(cursor)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Do in the block what only the leader does, on this thread's connection, in several transactions or none.

        The next leader waits a second for the end of the block, then ends the connection.

        Raises: LeadershipLost, before the block is entered.
        """
        connection = connections[self._using]
        with connection.cursor() as cursor:
            self._share(cursor, SHARE)
        try:
            with connection.cursor() as cursor:
                self._require_lease(cursor)
            yield
        finally:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [_writing(self.name)])
            except Error:
                connection.close()  # which frees the lock, and keeps the block's own error the one that is told

    def _share(self, cursor: CursorWrapper, lock: str) -> None:
        """Be among those who write, waiting for nobody: only a new leader could be waited for."""
        cursor.execute(lock, [_writing(self.name)])
        self._require(cursor.fetchone()[0])

    def _require_lease(self, cursor: CursorWrapper) -> None:
        cursor.execute(IS_OURS, self._identity)
        self._require(cursor.rowcount == 1)

    def _require(self, leads: bool) -> None:
        if not leads:
            self.end()
            raise LeadershipLost(f"{self.name}, term {self.token}")


class Leadership:
    """Contends for a name on a thread and a connection of its own, from `start` to `stop`."""

    def __init__(self, name: str, *, using: str) -> None:
        self.name = name
        self._using = using
        program = program_name(name)
        self._holder = f"{program} {socket.gethostname()} {os.getpid()} {uuid.uuid4().hex[:8]}"[:120]
        self._term: Term | None = None
        self._stopping = threading.Event()
        self._may_contend = threading.Event()
        self._may_contend.set()
        self._thread = threading.Thread(target=self._keep, name=f"lead {name}", daemon=True)
        self._told: str | None = None

    @property
    def term(self) -> Term | None:
        """The present term, or None on standby."""
        term = self._term
        return term if term is not None and term.holds() else None

    def start(self) -> None:
        """Begin to contend."""
        self._thread.start()

    def stop(self) -> None:
        """Let go, so that a standby takes over at once. What the leader does has to be finished before."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=LEADS_FOR_SECONDS)
        if (term := self._term) is not None:
            term.end()

    def lead(
        self,
        work: Callable[[Term], None],
        *,
        stopping: threading.Event,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Call `work` with each term that is won, until `stopping` is set; it has to return when its term is over.

        On standby `meanwhile` is called again and again.

        No other term is contended for before it returns. It begins with a new connection: what ended the term before
        may have ended this thread's, and the first that is done would find out by failing.
        """
        self.start()
        try:
            while not stopping.wait(POLL_SECONDS):
                if (term := self.term) is None:
                    meanwhile()
                    continue
                self._may_contend.clear()
                connections[self._using].close()
                work(term)
                if not stopping.is_set():
                    log.warning("deposed", name=self.name, term=term.token)
                self._may_contend.set()
        finally:
            self.stop()

    def _keep(self) -> None:
        try:
            while not self._stopping.is_set():
                began_at = time.monotonic()
                again_after = RENEW_EVERY_SECONDS
                try:
                    again_after = self._step()
                    self._told = None
                except Error as error:
                    self._lose(repr(error))
                    again_after = CONTEND_EVERY_SECONDS
                self._stopping.wait(max(0.0, began_at + again_after - time.monotonic()))
        finally:
            connections.close_all()  # this thread's own, and the lock with them

    def _step(self) -> float:
        """Renew or contend; seconds until it is time again."""
        if self._term is not None:
            if not self._renew(self._term):
                self._lose("outlived or taken over")
            return RENEW_EVERY_SECONDS
        if self._may_contend.is_set() and self._contend():
            return POLL_SECONDS
        return CONTEND_EVERY_SECONDS

    def _lose(self, why: str) -> None:
        if self._term is not None:
            self._term.end()
            self._term = None
        if why != self._told:
            log.warning("no lease", name=self.name, why=why)
            self._told = why
        connections[self._using].close()

    def _renew(self, term: Term) -> bool:
        began_at = time.monotonic()
        with connections[self._using].cursor() as cursor:
            cursor.execute(RENEW, [self.name, term.token, self._holder])
            is_ours = cursor.rowcount == 1
        self._require_time()
        return is_ours and term.extend(until=began_at + LEADS_FOR_SECONDS)

    def _require_time(self) -> None:
        """Nobody leads who does not know the time: another process may.

        Raises: ClockUnknown.
        """
        clock.of(self._using).now()

    def _contend(self) -> bool:
        """Take the lock if it is free; whether a silent leader's connection was ended, so that it soon will be."""
        lock = lock_key(f"lead {self.name}")
        with connections[self._using].cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
            self._require_time()
            if not cursor.fetchone()[0]:
                ahead_seconds = AHEAD_TOLERANCE.total_seconds()
                cursor.execute(END_SILENT_LEADER, [lock, self.name, SILENT_AFTER_SECONDS, ahead_seconds])
                ended = bool(cursor.fetchone()[0])
                if ended:
                    log.warning("ended the connection of a silent leader", name=self.name)
                return ended
            began_at = time.monotonic()
            # From here on nothing that checks an earlier token is written.
            cursor.execute(CLAIM, [self.name, self._holder])
            token = cursor.fetchone()[0]
            self._wait_for_writes(cursor)
        self._term = Term(
            name=self.name,
            using=self._using,
            token=token,
            holder=self._holder,
            until=began_at + LEADS_FOR_SECONDS,
        )
        log.info("leads", name=self.name, term=token)
        return False

    def _wait_for_writes(self, cursor: CursorWrapper) -> None:
        """Return when all that earlier terms had begun to write is finished or undone."""
        key = _writing(self.name)
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{WRITES_END_WITHIN_SECONDS:g}s"])
        try:
            cursor.execute("SELECT pg_advisory_lock(%s)", [key])
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable):
                raise
            cursor.execute(END_HOLDERS, [key])
            log.warning(
                "ended connections that wrote for an earlier leader",
                name=self.name,
                ended=cursor.fetchone()[0],
            )
            cursor.execute("SELECT pg_advisory_lock(%s)", [key])
        cursor.execute("SELECT pg_advisory_unlock(%s)", [key])


def _writing(name: str) -> int:
    """The lock that those who write as leader share."""
    return lock_key(f"write as {name}")
