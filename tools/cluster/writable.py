"""The engine's own outage, measured beside the load: when no host took a synchronous commit."""

import itertools
import threading
import time
from contextlib import suppress

import psycopg

from tools.cluster.database import DatabaseHost, Databases

COMMITS_WITHIN_SECONDS = 1.0  # or the engine counts as out
# A commit needs space as that of an order does: each row takes a page of its own.
TABLE = "CREATE TABLE IF NOT EXISTS probe (host text NOT NULL, filling bytea STORAGE PLAIN NOT NULL)"
FILLING_BYTES = 5000


class Writable:
    """Looks, beside the load, from when to when no host took a synchronous commit: the engine's own outage."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self.stopping = threading.Event()
        self.commits: list[float] = []  # monotonic moments
        self._threads = [
            threading.Thread(target=self._look, args=[member], daemon=True) for member in databases.members
        ]

    def start(self) -> None:
        with psycopg.connect(self._databases.url("probe"), autocommit=True) as session:
            session.execute(TABLE)
        for thread in self._threads:
            thread.start()

    def gaps(self, *, after: float) -> list[tuple[float, float]]:
        """Monotonic moments between which no host took a commit, each for longer than counts."""
        moments = sorted(each for each in self.commits if each >= after - 1)
        return [pair for pair in itertools.pairwise(moments) if pair[1] - pair[0] > COMMITS_WITHIN_SECONDS]

    def _look(self, member: DatabaseHost) -> None:
        url = f"{self._databases.url('probe', member)}&connect_timeout=2&tcp_user_timeout=2000"
        while not self.stopping.wait(0.2):
            with suppress(psycopg.Error), psycopg.connect(url, autocommit=True) as session:
                while not self.stopping.wait(0.1):
                    began_at = time.monotonic()
                    session.execute("INSERT INTO probe VALUES (%s, %s)", [member.name, bytes(FILLING_BYTES)])
                    if time.monotonic() - began_at < COMMITS_WITHIN_SECONDS:
                        self.commits.append(time.monotonic())
