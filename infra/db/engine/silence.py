"""A server that says nothing: whether it works on a long statement, or is not there any more.

TCP does not tell them apart for a long while when a host was cut off, and never when the server's processes were
stopped. So a connection that has waited in silence for a moment asks after its server on a second one, beside the
work: a server that is there answers at once, however busy it is. Nothing is cancelled: a connection whose server
does not answer is closed, and what it was doing is unknown.
"""

import threading
import time
from collections import defaultdict
from typing import Any

import psycopg
from psycopg import errors
from psycopg.abc import PQGen

from infra.db.engine.asking import Host, is_there
from infra.db.engine.hosts import hosts

ASKED_AGAIN_AT_MOST_SECONDS = 5.0
_READY_NONE = 0  # what psycopg tells a generator whose socket has nothing for it


class _Asked:
    """The last answer of each host, shared by all threads of a process: a crowd that waits asks once."""

    def __init__(self) -> None:
        # Who waits for a host that is there does not wait for the answer of one that is not.
        self._locks: defaultdict[Host, threading.Lock] = defaultdict(threading.Lock)
        self._answers: dict[Host, tuple[float, bool]] = {}

    def is_there(self, host: Host, *, since: float) -> bool:
        """Whether the host has answered after the monotonic moment `since`."""
        with self._locks[host]:
            answered_at, there = self._answers.get(host, (float("-inf"), False))
            if answered_at < since:
                asked_at = time.monotonic()
                there = is_there(host)
                self._answers[host] = asked_at, there
            return there


_asked = _Asked()


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that is not waited on for longer than its server is there."""

    silent_seconds = 1.0

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Psycopg's own way to wait for what is under way, LISTEN included.

        Raises: OperationalError when the server is not there any more; the connection is closed then.
        """
        patience = self.silent_seconds
        if timeout is not None or not patience:
            return super().wait(gen, interval, timeout)
        waiting = gen
        while True:
            began_at = time.monotonic()
            try:
                return super().wait(waiting, interval, patience)
            except errors._WaitTimeout:
                self._ask_after(since=began_at)
            waiting = _resumed(gen)
            patience = min(2 * patience, ASKED_AGAIN_AT_MOST_SECONDS)

    def _ask_after(self, *, since: float) -> None:
        host = Host(self.info.host, self.info.port)
        if _asked.is_there(host, since=since):
            return
        hosts.is_silent(host)
        self.close()
        raise psycopg.OperationalError(f"{host} said nothing, and does not answer on another connection")


def _resumed(gen: PQGen[Any]) -> PQGen[Any]:
    """The rest of a generator that was waited for in vain: psycopg begins with `next`, which it does not understand."""
    try:
        wanted = gen.send(_READY_NONE)
        while True:
            wanted = gen.send((yield wanted))
    except StopIteration as ended:
        return ended.value
