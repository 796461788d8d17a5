"""The time: each database has one clock, its server's; a process carries it on by its own monotonic one.

A process's wall clock is never believed: it may be ahead, behind, or jump. Each new database connection measures the
server's clock in one round trip, and where none was opened for a while a short one is opened for that, beside the work.
In between the monotonic clock counts, so that reading the time asks nobody.

Invariant: a time is only told while it is known. A server's clock that leaps (a failover to a host that keeps another
time) is not followed before it has been steady for CONFIRMED_AFTER_SECONDS; until then there is no time, and nothing
that depends on it is done.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

log = structlog.get_logger(__name__)

MEASURED_EVERY_SECONDS = 30.0
MEASURED_AGAIN_SECONDS = 1.0  # after one that failed, or while the clock is in doubt
KNOWN_FOR_SECONDS = 300.0  # without a measurement
AWAITED_SECONDS = 2.0
# A longer round trip says too little of when in between the server looked at its clock.
ROUND_TRIP_SECONDS = 1.0
# By more than this a server's clock does not drift: it was set, or is another one; and two monotonic clocks by so much
# of the time that went by.
LEAP_SECONDS = 2.0
DRIFT_RATE = 0.0005
CONFIRMED_AFTER_SECONDS = 10.0
# By more than this a server's clock is not corrected, it is wrong, or was: there is time to put it right.
FAR_SECONDS = 20.0
FAR_CONFIRMED_AFTER_SECONDS = 300.0
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ASK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


class ClockUnknown(OperationalError):
    """The database's time is not known to this process: as with any other failure of a database, not now."""


@dataclass(frozen=True, slots=True)
class _Leap:
    """A server's clock that is `off_seconds` away from where it should be, since a monotonic moment."""

    off_seconds: float
    since: float


class Clock:
    """The clock of one database, for all threads of a process. Reading it takes no lock and asks nobody."""

    def __init__(self, alias: str, *, monotonic: Callable[[], float] = lambda: steady()) -> None:
        self.alias = alias
        self._monotonic = monotonic
        self._anchor: tuple[datetime, float] | None = None
        self._measured_at = 0.0
        self._due_at = float("-inf")
        self._known_until = float("-inf")
        self._leap: _Leap | None = None
        self._wall_is_off = False
        self.forget_threads()

    def now(self) -> datetime:
        """The time.

        Raises: ClockUnknown when it could not be measured, or while the server's clock is in doubt.
        """
        moment = self._monotonic()
        if moment >= self._due_at:
            self._measure_beside(moment)
        if moment >= self._known_until:
            self._await_knowledge()
            moment = self._monotonic()
        return self._reading(moment)

    def known(self) -> datetime | None:
        """The time, or None when it is not known at this moment; waits for nobody."""
        moment = self._monotonic()
        if moment >= self._due_at:
            self._measure_beside(moment)
        return self._reading(moment) if moment < self._known_until else None

    def observe(self, at: datetime, *, asked: float, answered: float) -> None:
        """Take in what the server said its time was, between two monotonic moments of this process."""
        error = (answered - asked) / 2
        if not 0 <= error <= ROUND_TRIP_SECONDS / 2:
            return
        middle = asked + error
        with self._lock:
            if self._anchor is None:
                self._adopt(at, middle, answered)
                return
            off = (at - self._reading(middle)).total_seconds()
            if abs(off) <= LEAP_SECONDS + DRIFT_RATE * (middle - self._measured_at):
                if self._leap is not None:
                    log.warning("the database's clock is back", database=self.alias)
                self._adopt(at, middle, answered, keeps_anchor=abs(off) <= 2 * error)
            else:
                self._doubt(at, off, middle, answered)

    def forget_threads(self) -> None:
        """A process that was forked has none of its parent's threads, and no lock that one of them held."""
        self._lock = threading.Lock()
        self._measuring: threading.Thread | None = None

    def _reading(self, moment: float) -> datetime:
        assert self._anchor is not None  # noqa: S101 - nothing is known before it is there
        at, since = self._anchor
        return at + timedelta(seconds=moment - since)

    def _adopt(self, at: datetime, middle: float, answered: float, *, keeps_anchor: bool = False) -> None:
        if not keeps_anchor:
            self._anchor = at, middle
        self._leap = None
        self._measured_at = middle
        self._due_at = answered + MEASURED_EVERY_SECONDS
        self._known_until = answered + KNOWN_FOR_SECONDS
        self._look_at_wall(at)

    def _doubt(self, at: datetime, off: float, middle: float, answered: float) -> None:
        """It leapt: believe it once it has been steady, for then it is the clock that all processes read."""
        leap = self._leap
        if leap is None or abs(off - leap.off_seconds) > LEAP_SECONDS:
            self._leap = _Leap(off, middle)
            self._known_until = float("-inf")
            log.error(
                "the database's clock leapt: no time until it is steady", database=self.alias, by_seconds=off
            )
        elif middle - leap.since >= _confirmed_after(off):
            log.error(
                "the database's clock stays where it leapt to, and is followed",
                database=self.alias,
                by_seconds=off,
            )
            self._adopt(at, middle, answered)
            return
        self._due_at = answered + MEASURED_AGAIN_SECONDS

    def _look_at_wall(self, at: datetime) -> None:
        """Tell when this machine's clock goes wrong or right; nothing but log lines and libraries depends on it."""
        ahead = (datetime.now(UTC) - at).total_seconds()
        is_off = abs(ahead) > LEAP_SECONDS
        if is_off != self._wall_is_off:
            self._wall_is_off = is_off
            log.warning(
                "this machine's clock differs from the database's", database=self.alias, ahead_seconds=ahead
            )

    def _measure_beside(self, moment: float) -> None:
        """Have a thread open a connection, which measures; one at a time."""
        with self._lock:
            if self._measuring is None or not self._measuring.is_alive():
                self._due_at = moment + MEASURED_AGAIN_SECONDS
                measuring = threading.Thread(target=self._connect, name=f"clock {self.alias}", daemon=True)
                measuring.start()
                self._measuring = measuring

    def _await_knowledge(self) -> None:
        """Wait for a first measurement, or the first after a long while; not for a clock that is in doubt."""
        with self._lock:  # who holds it may be about to start the thread
            measuring = self._measuring
        if self._leap is None and measuring is not None:
            measuring.join(AWAITED_SECONDS)
        if self._monotonic() >= self._known_until:
            why = "is in doubt: it leapt" if self._leap is not None else "could not be read"
            raise ClockUnknown(f"the clock of the database {self.alias} {why}")

    def _connect(self) -> None:
        connection = connections[self.alias]
        try:
            connection.ensure_connection()
        except Exception as error:  # noqa: BLE001 - the time stays as it was, for a while
            log.warning("the database's clock could not be read", database=self.alias, error=repr(error))
        finally:
            connection.close()


def steady() -> float:
    """Seconds by a clock that never leaps, and goes on while the machine sleeps where the system has such a one."""
    return time.clock_gettime(_STEADY)


def _confirmed_after(off_seconds: float) -> float:
    return CONFIRMED_AFTER_SECONDS if abs(off_seconds) <= FAR_SECONDS else FAR_CONFIRMED_AFTER_SECONDS


# Made when they are asked for: programs import this before they know their settings.
_CLOCKS: dict[str, Clock] = {}


def of(alias: str) -> Clock:
    """The clock of a database, by its alias in the settings. Raises: KeyError when there is no such database."""
    if alias not in _CLOCKS:
        if alias not in settings.DATABASES:
            raise KeyError(alias)
        _CLOCKS.setdefault(alias, Clock(alias))  # of two threads one makes it
    return _CLOCKS[alias]


def measure(*, connection: BaseDatabaseWrapper, **signal: Any) -> None:
    """Have a new connection say what time it is at its server."""
    if connection.alias not in settings.DATABASES:
        return
    asked = steady()
    with connection.connection.cursor() as cursor:
        ((microseconds,),) = cursor.execute(ASK).fetchall()
    at = _EPOCH + timedelta(microseconds=microseconds)
    of(connection.alias).observe(at, asked=asked, answered=steady())


def _forked() -> None:
    for clock in list(_CLOCKS.values()):
        clock.forget_threads()


connection_created.connect(measure, dispatch_uid="infra.coordination.clock")
os.register_at_fork(after_in_child=_forked)
