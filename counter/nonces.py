"""Nonces of signed calls, and signatures of requests: each is taken once, by whichever web process sees it first.

Guards both APIs against what is sent again by others than who signed it. Kept for as long as the signature's time
would be accepted, and longer for clocks that differ; each taking clears away a few more than it adds of those older.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection

from config.arrays import array

# In the order of the nonces: two processes that are sent the same ones never wait for each other.
TAKE = """
    WITH old AS (
        SELECT nonce FROM counter_usednonce WHERE valid_until < %s
        ORDER BY valid_until LIMIT %s FOR UPDATE SKIP LOCKED
    ), cleared AS (DELETE FROM counter_usednonce AS n USING old WHERE n.nonce = old.nonce)
    INSERT INTO counter_usednonce (nonce, valid_until)
    SELECT nonce, valid_until FROM unnest(%s::varchar[], %s::timestamptz[]) AS given(nonce, valid_until)
    ORDER BY nonce ON CONFLICT DO NOTHING RETURNING nonce
"""
CLEARED_BESIDES = 8


def take(nonce: str, *, created: datetime, window: timedelta, now: datetime) -> bool:
    """Whether this nonce of a signature made at `created` and accepted within `window` was never taken before."""
    return bool(take_all({nonce: created + window}, forgotten_before=now - window))


def take_all(valid_until: Mapping[str, datetime], *, forgotten_before: datetime) -> set[str]:
    """Those of the nonces that were never taken before; each is kept until its time is before `forgotten_before`."""
    cleared = CLEARED_BESIDES + 2 * len(valid_until)
    with connection.cursor() as cursor:
        cursor.execute(
            TAKE, [forgotten_before, cleared, array(list(valid_until)), array(list(valid_until.values()))]
        )
        return {nonce for (nonce,) in cursor.fetchall()}
