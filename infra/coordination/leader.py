"""Exclusive work by a lock that the database holds for a connection: gone with its holder, never left behind."""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import Error, connections

from infra.db.arrays import array


@contextmanager
def exclusive(name: str, *, using: str) -> Iterator[bool]:
    """Whether this connection alone holds `name` for the length of the block; never waits.

    A PostgreSQL advisory lock of the session: it may be held across network calls, because no transaction is open.
    """
    with first_free([name], using=using) as held:
        yield held is not None


@contextmanager
def first_free(names: Sequence[str], *, using: str) -> Iterator[str | None]:
    """The first of `names` that nobody holds, held by this connection alone for the length of the block; never waits.

    None when all are held.
    """
    connection = connections[using]
    held = next((name for name in names if _try(name, using)), None)
    try:
        yield held
    finally:
        if held is not None:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [lock_key(held)])
            except Error:
                connection.close()  # which frees the lock, and keeps the block's own error the one that is told


def _try(name: str, using: str) -> bool:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(name)])
        return cursor.fetchone()[0]


def is_held(name: str, *, using: str) -> bool:
    """Whether any connection holds `name` at this moment."""
    return name in held_of([name], using=using)


def held_of(names: Sequence[str], *, using: str) -> set[str]:
    """Those of `names` that any connection holds at this moment."""
    by_key = {lock_key(name): name for name in names}
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = 0"
            " AND objid::bigint = ANY(%s::bigint[]) AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [array(list(by_key))],
        )
        return {by_key[key] for (key,) in cursor.fetchall()}


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
