"""Taking what the desk says of its own condition: the latest word of each coin, by the desk's clock.

A word that lies ahead of our own clock gives way to any: the desk's may have been wrong.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection

from counter.contracts import CoinCondition
from infra.coordination.ages import AHEAD_INTERVAL
from infra.db.arrays import columns

# By so much the desk's clock may be ahead of ours; more would silence every later word of a clock that was put right.
CLOCKS_DIFFER_BY = timedelta(seconds=60)
COLUMNS = ["underlying", "unhedged_coin", "venue_halted_since", "doubtful_since", "doubtful_coin", "venue_ms"]

UPSERT = f"""
    INSERT INTO counter_deskcondition (
        underlying, unhedged_coin, venue_halted_since, doubtful_since, doubtful_coin, venue_ms, as_of, received_at)
    SELECT v.underlying, v.unhedged_coin, v.venue_halted_since, v.doubtful_since, v.doubtful_coin, v.venue_ms, %s, %s
    FROM unnest(%s::varchar[], %s::numeric[], %s::timestamptz[], %s::timestamptz[], %s::numeric[], %s::int[])
        AS v(underlying, unhedged_coin, venue_halted_since, doubtful_since, doubtful_coin, venue_ms)
    ORDER BY v.underlying
    ON CONFLICT (underlying) DO UPDATE SET
        unhedged_coin = EXCLUDED.unhedged_coin, venue_halted_since = EXCLUDED.venue_halted_since,
        doubtful_since = EXCLUDED.doubtful_since, doubtful_coin = EXCLUDED.doubtful_coin, venue_ms = EXCLUDED.venue_ms,
        as_of = EXCLUDED.as_of, received_at = EXCLUDED.received_at
    WHERE counter_deskcondition.as_of < EXCLUDED.as_of
        OR counter_deskcondition.as_of > EXCLUDED.received_at + {AHEAD_INTERVAL}
    RETURNING underlying
"""  # noqa: S608 - our own


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
