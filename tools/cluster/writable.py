"""The engine's own outage, measured beside the load: when no host took a synchronous commit."""

import itertools
import threading
import time
from contextlib import suppress

import psycopg

from tools.cluster.database import DatabaseHost, Databases

COMMITS_WITHIN_SECONDS = 1.0  # or the engine counts as out


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
        for thread in self._threads:
            thread.start()

    def outage(self, *, after: float) -> float | None:
        """Monotonic moment of the first commit that follows the longest gap after a moment; None if there was none."""
        gaps = [(later - earlier, later) for earlier, later in self.gaps(after=after)]
        return max(gaps)[1] if gaps else None

    def gaps(self, *, after: float) -> list[tuple[float, float]]:
        """Monotonic moments between which no host took a commit, each for longer than counts."""
        moments = sorted(each for each in self.commits if each >= after - 1)
        return [pair for pair in itertools.pairwise(moments) if pair[1] - pair[0] > COMMITS_WITHIN_SECONDS]

    def _look(self, member: DatabaseHost) -> None:
        url = f"{self._databases.url('probe', member)}&connect_timeout=2&tcp_user_timeout=2000"
        statement = (
            "INSERT INTO probe VALUES (%s, 1) ON CONFLICT (name) DO UPDATE SET count = probe.count + 1"
        )
        while not self.stopping.wait(0.2):
            with suppress(psycopg.Error), psycopg.connect(url, autocommit=True) as session:
                while not self.stopping.wait(0.1):
                    began_at = time.monotonic()
                    session.execute(statement, [member.name])
                    if time.monotonic() - began_at < COMMITS_WITHIN_SECONDS:
                        self.commits.append(time.monotonic())
