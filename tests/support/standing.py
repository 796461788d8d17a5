"""Leaders and standbys: one that is silent, and real processes that can be paused and killed."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import connections

from tests.support.databases import conninfo

SOON_SECONDS = 60.0  # for a machine that does other things; promises are asserted where they are made


def until(holds: Callable[[], Any], *, within: float = SOON_SECONDS) -> float:
    """Wait until something holds; the seconds it took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < within, "it did not come to hold"
        time.sleep(0.01)
    return time.monotonic() - started


def lock_holders(name: str, *, using: str = "default") -> list[int]:
    """The database's processes that hold the lock of a name that is led."""
    from infra.coordination.leader import lock_key

    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [lock_key(f"lead {name}")],
        )
        return [pid for (pid,) in cursor.fetchall()]


def end_backend(pid: int, *, using: str = "default") -> None:
    """Cut a connection at the database."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


class Paused:
    """Has won as a leader does that was stopped right after: it renews nothing. The leader before is not told."""

    def __init__(self, name: str = "test", *, using: str = "default") -> None:
        from infra.coordination import leadership
        from infra.coordination.leader import lock_key

        self._connection = psycopg.connect(conninfo(using), autocommit=True)
        self._connection.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(f"lead {name}")])
        row = self._connection.execute(leadership.CLAIM, [name, "paused"]).fetchone()
        assert row
        self.term = leadership.Term(
            name=name, using=using, token=row[0], holder="paused", until=time.monotonic() + 1000
        )

    def __enter__(self) -> "Paused":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End its connection."""
        self._connection.close()
