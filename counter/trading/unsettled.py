"""What counter has not heard the settlement of, by coin: what is not hedged by its own view, and what it paid out."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

UNSETTLED = """
    SELECT underlying, sum(CASE kind WHEN 'OPEN' THEN coin ELSE -coin END), min(placed_at),
           coalesce(sum(amount) FILTER (WHERE kind <> 'OPEN' AND payout = 'instant'), 0),
           coalesce(sum(coin) FILTER (WHERE placed_at < %s), 0) FROM (
        SELECT underlying, kind, coin, placed_at, amount, payout FROM counter_syncorder WHERE state = 'PENDING'
        UNION ALL
        SELECT underlying, kind, coin, placed_at, amount, payout FROM counter_syncorder WHERE state = 'SYNCED'
    ) AS unsettled GROUP BY underlying
"""


class Unsettled(NamedTuple):
    """Net coin, opens positive, the time of the oldest order, USDT paid at once, and coin of the overdue, both ways."""

    coin: Decimal
    oldest_at: datetime
    paid: Decimal
    overdue_coin: Decimal


def read_unsettled(*, overdue_before: datetime) -> dict[str, Unsettled]:
    """All of it by coin, off the indexes of the two states; overdue is what was placed before a moment."""
    with connection.cursor() as cursor:
        cursor.execute(UNSETTLED, [overdue_before])
        return {underlying: Unsettled(*measured) for underlying, *measured in cursor.fetchall()}
