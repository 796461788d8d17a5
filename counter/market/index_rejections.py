"""Counting what the index rejects: by source, coin and cause, in one row each, for the metrics and for people."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import connection

from counter.market.index_bounds import Rejection

LONGEST_PRICE = 32
COUNT = """
    INSERT INTO counter_indexrejection (source, underlying, cause, count, bid, ask, first_at, last_at)
    SELECT v.source, v.underlying, v.cause, v.count, v.bid, v.ask, %s, %s
    FROM unnest(%s::varchar[], %s::varchar[], %s::varchar[], %s::bigint[], %s::varchar[], %s::varchar[])
        AS v(source, underlying, cause, count, bid, ask)
    ORDER BY v.source, v.underlying, v.cause
    ON CONFLICT (source, underlying, cause) DO UPDATE SET
        count = counter_indexrejection.count + EXCLUDED.count, bid = EXCLUDED.bid, ask = EXCLUDED.ask,
        last_at = EXCLUDED.last_at
"""


class RejectionCounts:
    """What was rejected and not stored yet: one row for each source, coin and cause, with the latest books."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}
        self._books: dict[tuple[str, str, str], tuple[str, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, rejected: Mapping[str, Iterable[Rejection]]) -> None:
        """Count what was rejected of each coin."""
        for coin, rejections in rejected.items():
            for each in rejections:
                key = (each.source, coin, each.cause.value)
                self._counts[key] = self._counts.get(key, 0) + 1
                self._books[key] = (_stored(each.bid), _stored(each.ask))

    def store(self, *, now: datetime) -> None:
        """Add it to the rows, with one statement, in the caller's transaction. Raises: database errors."""
        keys = list(self._counts)
        columns = [[key[part] for key in keys] for part in range(3)]
        books = [[self._books[key][side] for key in keys] for side in range(2)]
        with connection.cursor() as cursor:
            cursor.execute(COUNT, [now, now, *columns, list(self._counts.values()), *books])

    def clear(self) -> None:
        """Begin anew, once what was stored is committed."""
        self._counts, self._books = {}, {}


def _stored(price: str | None) -> str:
    """What fits the column; a NUL cannot be stored."""
    return (price or "").replace("\0", "")[:LONGEST_PRICE]
