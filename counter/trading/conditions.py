"""Taking what the desk says of its own condition: the latest word of each coin, by the desk's clock."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection

from config.arrays import columns
from counter.contracts import CoinCondition

# By so much the desk's clock may be ahead of ours; more would silence every later word of a clock that was put right.
CLOCKS_DIFFER_BY = timedelta(seconds=60)
COLUMNS = ["underlying", "unhedged_coin", "venue_halted_since", "doubtful_since"]

UPSERT = """
    INSERT INTO counter_deskcondition (
        underlying, unhedged_coin, venue_halted_since, doubtful_since, as_of, received_at)
    SELECT v.underlying, v.unhedged_coin, v.venue_halted_since, v.doubtful_since, %s, %s
    FROM unnest(%s::varchar[], %s::numeric[], %s::timestamptz[], %s::timestamptz[])
        AS v(underlying, unhedged_coin, venue_halted_since, doubtful_since)
    ORDER BY v.underlying
    ON CONFLICT (underlying) DO UPDATE SET
        unhedged_coin = EXCLUDED.unhedged_coin, venue_halted_since = EXCLUDED.venue_halted_since,
        doubtful_since = EXCLUDED.doubtful_since, as_of = EXCLUDED.as_of, received_at = EXCLUDED.received_at
    WHERE counter_deskcondition.as_of < EXCLUDED.as_of
    RETURNING underlying
"""


class FromTheFuture(ValueError):
    """The message is of a time that has not come."""


def take_conditions(*, coins: Sequence[CoinCondition], as_of: datetime, now: datetime) -> list[str]:
    """Store what is said of each coin unless something later is stored; the coins whose condition was.

    Of two entries of one coin the last counts.

    Raises: FromTheFuture when `as_of` is later than `now` by more than clocks may differ.
    """
    if as_of > now + CLOCKS_DIFFER_BY:
        raise FromTheFuture(f"{as_of.isoformat()} has not come")
    latest = list({coin.underlying: coin for coin in coins}.values())
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, [as_of, now, *columns(latest, COLUMNS)])
        return sorted(row[0] for row in cursor.fetchall())
