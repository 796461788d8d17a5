"""Exclusive work by a lock that the database holds for a connection: gone with its holder, never left behind."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections


@contextmanager
def exclusive(name: str, *, using: str) -> Iterator[bool]:
    """Whether this connection alone holds `name` for the length of the block; never waits.

    A PostgreSQL advisory lock of the session: it may be held across network calls, because no transaction is open.
    """
    key = zlib.crc32(name.encode())
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        held = cursor.fetchone()[0]
    try:
        yield held
    finally:
        if held:
            with connections[using].cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
