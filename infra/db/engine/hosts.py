"""Which host of a database to connect to first, by what this process has met lately.

libpq tries the hosts of a connection string in their order, so each new connection would wait for a dead first one
until its time-out. Here the host that took the last connection comes first, and one that said nothing is left alone
until it has answered a thread that has nothing else to do: who has work waits for no host a second time.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from infra.db.engine.asking import Host, is_there

T = TypeVar("T")

ASKED_EVERY_SECONDS = 0.5
# One that answers and takes no connection all the same is tried by one thread at a time.
LEFT_TO_ONE_SECONDS = 2.0
# While a primary moves all that waits would ask every standby again and again, and the servers have better to do: one
# thread asks, so long after they have refused the last one, and the others are told what they said to that.
REFUSED_FOR_SECONDS = 0.2


def hosts_of(parameters: Mapping[str, Any]) -> list[Host]:
    """The hosts that connection parameters name, in their order; none where that is left to libpq.

    Raises: psycopg.ProgrammingError where ports are none, or not one for each host.
    """
    names = str(parameters.get("host") or "").split(",")
    if names == [""] or parameters.get("hostaddr") or parameters.get("service"):
        return []
    ports = str(parameters.get("port") or 5432).split(",")
    if len(ports) == 1:
        ports *= len(names)
    try:
        found = [Host(name, int(port or 5432)) for name, port in zip(names, ports, strict=True)]
    except ValueError as error:
        raise psycopg.ProgrammingError(f"ports are one for all hosts or one for each: {error}") from error
    if not all(0 < host.port < 65_536 for host in found):
        raise psycopg.ProgrammingError("a port is from 1 to 65535")
    return found


class Hosts:
    """What a process knows of all hosts; for all of its threads."""

    def __init__(self, is_there: Callable[[Host], bool] = is_there) -> None:
        self._lock = threading.Lock()
        self._is_there = is_there
        self._took_last: dict[Host, float] = {}
        self._left_alone_until: dict[Host, float] = {}
        self._refused: dict[str, tuple[float, str]] = {}
        self._asking: threading.Thread | None = None

    def is_silent(self, host: Host) -> None:
        """Take note that it did not answer, and have it asked until it does."""
        with self._lock:
            self._left_alone_until[host] = math.inf
        self._ask_on()

    def was_silent(self, host: Host) -> bool:
        """Whether it has answered nobody since somebody took note."""
        with self._lock:
            return host in self._left_alone_until

    def connect(self, connect: Callable[[Host], T], among: Sequence[Host], *, database: str = "") -> T:
        """What `connect` makes of the first host that takes it.

        Several hosts that have all refused `database` are asked again after a moment, and by one thread.

        Raises: OperationalError, with what each host said.
        """
        asked = f"{database} at {','.join(map(str, among))}"
        if len(among) > 1 and (refused := self._refused_now(asked)):
            raise psycopg.OperationalError(refused)
        failures: list[str] = []
        began_at = time.monotonic()
        for host in self._in_order(among):
            if not self._may_try(host):
                failures.append(f"{host}: said nothing a moment ago")
                continue
            try:
                made = connect(host)
            except errors.ConnectionTimeout:
                self.is_silent(host)
                failures.append(f"{host}: said nothing")
            except psycopg.OperationalError as error:
                self._failed(host)
                if len(among) == 1:
                    raise
                failures.append(f"{host}: {error}")
            else:
                self._answered(host)
                with self._lock:
                    self._took_last[host] = time.monotonic()
                    self._refused.pop(asked, None)
                return made
        refused = "no host takes connections; " + "; ".join(failures)
        with self._lock:
            self._refused.pop(asked, None)
            if all(self._took_last.get(host, -math.inf) < began_at for host in among):
                self._refused[asked] = time.monotonic() + REFUSED_FOR_SECONDS, refused
        raise psycopg.OperationalError(refused)

    def _refused_now(self, asked: str) -> str:
        """What the hosts said a moment ago, if all refused; else nothing: this thread asks them, alone if they did."""
        now = time.monotonic()
        with self._lock:
            until, refused = self._refused.get(asked, (-math.inf, ""))
            if now >= until + LEFT_TO_ONE_SECONDS:  # nobody has asked for a while: it says nothing of now
                return ""
            if now >= until:
                self._refused[asked] = now + LEFT_TO_ONE_SECONDS, refused
                return ""
            return refused

    def _in_order(self, among: Sequence[Host]) -> list[Host]:
        """Those that are not left alone first, and of them the one that took the last connection."""
        with self._lock:
            return sorted(
                among,
                key=lambda host: (host in self._left_alone_until, -self._took_last.get(host, float("-inf"))),
            )

    def _may_try(self, host: Host) -> bool:
        """Whether it is not left alone; of one that has answered since, whether this thread is the one to try it."""
        now = time.monotonic()
        with self._lock:
            until = self._left_alone_until.get(host)
            if until is None:
                return True
            if now >= until:
                self._left_alone_until[host] = now + LEFT_TO_ONE_SECONDS
                return True
        self._ask_on()
        return False

    def _ask_on(self) -> None:
        """Have a thread ask; one that a fork has left behind is no more."""
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask, name="ask silent hosts", daemon=True)
                self._asking.start()

    def _ask(self) -> None:
        """Ask those that said nothing, until there is none."""
        while silent := self._silent_ones():
            for host in silent:
                if self._is_there(host):
                    with self._lock:
                        if host in self._left_alone_until:
                            self._left_alone_until[host] = time.monotonic()
            time.sleep(ASKED_EVERY_SECONDS)

    def _silent_ones(self) -> list[Host]:
        with self._lock:
            return [host for host, until in self._left_alone_until.items() if until == math.inf]

    def _failed(self, host: Host) -> None:
        """An error is an answer, unless another thread met silence: it may be our own machine's "no route to host"."""
        with self._lock:
            if self._left_alone_until.get(host) != math.inf:
                self._left_alone_until.pop(host, None)

    def _answered(self, host: Host) -> None:
        with self._lock:
            self._left_alone_until.pop(host, None)


hosts = Hosts()
