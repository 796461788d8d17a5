"""Between which ids the rows of a time lie, of a table whose ids go with time: by its primary key, with no index more.

Ids go with time but for clocks that differ and transactions that last, together less than SKEW. So a range of ids has
every row of its time, and a few others: a query compares their times as well.
"""

from datetime import UTC, datetime, timedelta

from django.db import connections

SKEW = timedelta(minutes=5)
NOTHING_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
NOTHING_AFTER = datetime(9000, 1, 1, tzinfo=UTC)
# The first id of a time or later, found by halving: some twenty looks into the primary key among millions.
_FIRST_ID = """
    WITH RECURSIVE halving (low, high) AS (
        SELECT COALESCE(min(id), 0), COALESCE(max(id), -1) + 1 FROM {table}
        UNION ALL
        SELECT CASE WHEN seen.moment < %(at)s THEN seen.id + 1 ELSE low END,
               CASE WHEN seen.moment < %(at)s THEN high ELSE middle END
        FROM (SELECT low, high, low + (high - low) / 2 AS middle FROM halving WHERE low < high) AS h
        CROSS JOIN LATERAL (
            SELECT id, {moment} AS moment FROM {table} WHERE id >= middle ORDER BY id LIMIT 1) AS seen
    )
    SELECT max(low) FROM halving
"""


def begin_id(table: str, moment: str, at: datetime, *, using: str = "default") -> int:
    """An id that no row has a lower one than whose `moment`, a column, is `at` or later."""
    return _first_id(table, moment, max(at, NOTHING_BEFORE) - SKEW, using)


def end_id(table: str, moment: str, at: datetime, *, using: str = "default") -> int:
    """An id that every row has a lower one than whose `moment`, a column, is before `at`."""
    return _first_id(table, moment, min(at, NOTHING_AFTER) + SKEW, using)


def _first_id(table: str, moment: str, at: datetime, using: str) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute(_FIRST_ID.format(table=table, moment=moment), {"at": at})
        (found,) = cursor.fetchone()
    return found
