"""Nonces of the desk's signed calls: each is taken once, by whichever web process sees it first.

Guards the internal API against calls that are sent again by others than the desk. Kept for as long as the signature's
time would be accepted, and as long again for clocks that differ; each taking clears away a few that are older.
"""

from datetime import datetime, timedelta

from django.db import connection

TAKE = """
    WITH old AS (
        SELECT nonce FROM counter_usednonce WHERE valid_until < %s
        ORDER BY valid_until LIMIT 10 FOR UPDATE SKIP LOCKED
    ), cleared AS (DELETE FROM counter_usednonce AS n USING old WHERE n.nonce = old.nonce)
    INSERT INTO counter_usednonce (nonce, valid_until) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING nonce
"""


def take(nonce: str, *, created: datetime, window: timedelta, now: datetime) -> bool:
    """Whether this nonce of a signature made at `created` and accepted within `window` was never taken before."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [now - window, nonce, created + window])
        return cursor.fetchone() is not None
