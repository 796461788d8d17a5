"""Nonces of signed calls, and signatures of requests: each is taken once, by whichever web process sees it first.

Guards the APIs against what is sent again by others than who signed it. Kept for as long as the signature's time would
be accepted, and longer for clocks that differ. Each taking of one clears away a few more than it adds; those who take
many at a time clear away once in a while.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection

from infra.db.arrays import array

TAKE = """
    WITH old AS (
        SELECT nonce FROM counter_usednonce WHERE valid_until < %s
        ORDER BY valid_until LIMIT 10 FOR UPDATE SKIP LOCKED
    ), cleared AS (DELETE FROM counter_usednonce AS n USING old WHERE n.nonce = old.nonce)
    INSERT INTO counter_usednonce (nonce, valid_until) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING nonce
"""
# In the order of the nonces: two processes that are sent the same ones never wait for each other.
TAKE_ALL = """
    INSERT INTO counter_usednonce (nonce, valid_until)
    SELECT nonce, valid_until FROM unnest(%s::varchar[], %s::timestamptz[]) AS given(nonce, valid_until)
    ORDER BY nonce ON CONFLICT DO NOTHING RETURNING nonce
"""
CLEAR = """
    DELETE FROM counter_usednonce AS n USING (
        SELECT nonce FROM counter_usednonce WHERE valid_until < %s
        ORDER BY valid_until LIMIT %s FOR UPDATE SKIP LOCKED
    ) AS old WHERE n.nonce = old.nonce
"""
CLEARED_AT_A_TIME = 10_000


def take(nonce: str, *, created: datetime, window: timedelta, now: datetime) -> bool:
    """Whether this nonce of a signature made at `created` and accepted within `window` was never taken before."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [now - window, nonce, created + window])
        return cursor.fetchone() is not None


def take_all(valid_until: Mapping[str, datetime]) -> set[str]:
    """Those of the nonces that were never taken before; each is kept at least until its time."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_ALL, [array(list(valid_until)), array(list(valid_until.values()))])
        return {nonce for (nonce,) in cursor.fetchall()}


def clear(*, before: datetime) -> None:
    """Forget nonces that were valid until then, the oldest first, and no more than CLEARED_AT_A_TIME."""
    with connection.cursor() as cursor:
        cursor.execute(CLEAR, [before, CLEARED_AT_A_TIME])
