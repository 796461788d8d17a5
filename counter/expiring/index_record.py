"""The record of the index while an average is under way, in one statement, however long it is.

Nothing is remembered between two calls: another feed that takes over knows the same average.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from counter.expiring.index_average import (
    WINDOW,
    AverageSoFar,
    MinuteSoFar,
    average_so_far,
    can_still_settle,
)

MINUTES = """
    WITH samples AS (
        SELECT underlying, at - %(starts_at)s AS after, price,
               at - lag(at, 1, %(starts_at)s) OVER (PARTITION BY underlying ORDER BY at) AS gap
        FROM counter_indexprice
        WHERE underlying = ANY(%(coins)s) AND at >= %(starts_at)s AND at <= %(now)s AND at < %(expires_at)s
    )
    SELECT underlying, floor(extract(epoch FROM after) / 60)::int, count(*), sum(price), max(gap)
    FROM samples GROUP BY 1, 2 ORDER BY 1, 2
"""


def averages_so_far(
    coins: Iterable[str], *, expires_at: datetime, now: datetime
) -> dict[str, AverageSoFar | None]:
    """What is known of each coin's settlement index at `now`, within the window before `expires_at`.

    None for a coin whose record has a gap too large to settle at: what it will be is then a person's to enter.
    """
    wanted = sorted(coins)
    found: dict[str, list[MinuteSoFar]] = {coin: [] for coin in wanted}
    with connection.cursor() as cursor:
        cursor.execute(
            MINUTES,
            {"coins": wanted, "starts_at": expires_at - WINDOW, "expires_at": expires_at, "now": now},
        )
        for coin, *row in cursor.fetchall():
            found[coin].append(MinuteSoFar(*row))
    return {coin: _so_far(minutes, expires_at, now) for coin, minutes in found.items()}


def _so_far(minutes: list[MinuteSoFar], expires_at: datetime, now: datetime) -> AverageSoFar | None:
    if not can_still_settle(
        minutes,
        expires_at=expires_at,
        now=now,
        least_minutes=settings.SETTLEMENT_INDEX_LEAST_MINUTES,
        most_gap=timedelta(seconds=settings.SETTLEMENT_INDEX_MOST_GAP_SECONDS),
    ):
        return None
    every = timedelta(seconds=settings.QUOTE_EVERY_SECONDS)
    return average_so_far(minutes, expires_at=expires_at, now=now, every=every)
