"""Exclusive work by a lock that the database holds for a connection: gone with its holder, never left behind."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connections


@contextmanager
def exclusive(name: str, *, using: str) -> Iterator[bool]:
    """Whether this connection alone holds `name` for the length of the block; never waits.

    A PostgreSQL advisory lock of the session: it may be held across network calls, because no transaction is open.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(name)])
        held = cursor.fetchone()[0]
    try:
        yield held
    finally:
        if held:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [lock_key(name)])
            except DatabaseError:
                connection.close()  # which frees the lock, and keeps the block's own error the one that is told


def is_held(name: str, *, using: str) -> bool:
    """Whether any connection holds `name` at this moment."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND granted)",
            [lock_key(name)],
        )
        return cursor.fetchone()[0]


def exclusive_in_transaction(name: str, *, using: str) -> None:
    """Wait until this transaction alone holds `name`, to its end."""
    connection = connections[using]
    if not connection.in_atomic_block:
        raise RuntimeError("a lock of a transaction needs one")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(name)])


def lock_key(name: str) -> int:
    """The number that stands for a name among the database's advisory locks."""
    return zlib.crc32(name.encode())
