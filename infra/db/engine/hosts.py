"""Which host of a database to connect to first, by what this process has met lately.

libpq tries the hosts of a connection string in their order, so each new connection would wait for a dead first one
until its time-out. Here the host that took the last connection comes first, and one that said nothing is left alone
for a moment and then tried by one thread at a time: nobody else waits for it.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import errors

T = TypeVar("T")

LEFT_ALONE_SECONDS = 2.0


class Host(NamedTuple):
    """A name, an address, or the folder of a unix socket; and its port."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


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

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._took_last: dict[Host, float] = {}
        self._left_alone_until: dict[Host, float] = {}

    def is_silent(self, host: Host) -> None:
        """Take note that it did not answer."""
        with self._lock:
            self._left_alone_until[host] = time.monotonic() + LEFT_ALONE_SECONDS

    def was_silent(self, host: Host) -> bool:
        """Whether it has answered nobody since somebody took note."""
        with self._lock:
            return host in self._left_alone_until

    def connect(self, connect: Callable[[Host], T], among: Sequence[Host]) -> T:
        """What `connect` makes of the first host that takes it.

        Raises: OperationalError, with what each host said.
        """
        failures: list[str] = []
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
                self._answered(host)
                if len(among) == 1:
                    raise
                failures.append(f"{host}: {error}")
            else:
                self._answered(host)
                with self._lock:
                    self._took_last[host] = time.monotonic()
                return made
        raise psycopg.OperationalError("no host takes connections; " + "; ".join(failures))

    def _in_order(self, among: Sequence[Host]) -> list[Host]:
        """Those that are not left alone first, and of them the one that took the last connection."""
        with self._lock:
            return sorted(
                among,
                key=lambda host: (host in self._left_alone_until, -self._took_last.get(host, float("-inf"))),
            )

    def _may_try(self, host: Host) -> bool:
        """Whether it is not left alone; of one that was, whether this thread is the one that tries it."""
        now = time.monotonic()
        with self._lock:
            until = self._left_alone_until.get(host)
            if until is None:
                return True
            if now < until:
                return False
            self._left_alone_until[host] = now + LEFT_ALONE_SECONDS
            return True

    def _answered(self, host: Host) -> None:
        with self._lock:
            self._left_alone_until.pop(host, None)


hosts = Hosts()
