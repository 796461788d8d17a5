"""The desk's condition by coin, as counter has to know it to price and to refuse: told every second or two."""

import time
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import connections

from acceptance import counter_client
from counter.contracts import CoinCondition
from settlement.venues import halts

# Well within what counter takes for silence (DESK_SILENT_WIDEN_AFTER_SECONDS).
TOLD_AGAIN_SECONDS = 4.0
_told: list[CoinCondition] | None = None  # by this process
_told_at_seconds: float = 0.0  # by the monotonic clock

# What is still to be bought (positive) or sold: of orders that wait, of conversions whose fills are not booked or may
# never come, and what was carried over. And since when the oldest conversion is out of sight or a person's, and how
# much the orders of all such conversions come to.
STANDINGS = """
    SELECT underlying, sum(coin), min(doubtful_since), sum(orders_coin) FILTER (WHERE doubtful_since IS NOT NULL) FROM (
        SELECT underlying, CASE kind WHEN 'OPEN' THEN coin ELSE -coin END AS coin,
               NULL::timestamptz AS doubtful_since, NULL::numeric AS orders_coin
        FROM acceptance_acceptedorder WHERE state = 'RECEIVED'
        UNION ALL
        SELECT underlying,
               bought - sold + carry_in_coin - CASE side WHEN 'sell' THEN -filled_coin ELSE filled_coin END,
               CASE WHEN state IN ('UNKNOWN', 'MANUAL') THEN COALESCE(submitted_at, planned_at) END,
               bought + sold
        FROM settlement_conversion WHERE state NOT IN ('BOOKED', 'MISSED', 'RELEASED')
        UNION ALL
        SELECT underlying, coin, NULL, NULL FROM settlement_carry
    ) AS unhedged GROUP BY underlying
"""

# The median of the newest calls for conversions, by primary key; one that is not answered counts for how long it lasts.
VENUE_MS = """
    SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (
        ORDER BY (extract(epoch FROM coalesce(answered_at, clock_timestamp()) - sent_at) * 1000)::int), 0)
    FROM (SELECT sent_at, answered_at FROM settlement_attempt WHERE subject = 'conversion' ORDER BY id DESC LIMIT 8)
        AS newest WHERE sent_at BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp()
"""


def conditions() -> list[CoinCondition]:
    """How each coin of COINS stands: unhedged coin, 8 decimals, and what is wrong since when."""
    halted = halts.all_standing(settings.VENUE)
    with connections["desk"].cursor() as cursor:
        cursor.execute(STANDINGS)
        standings = {underlying: found for underlying, *found in cursor.fetchall()}
        cursor.execute(VENUE_MS)
        [venue_ms] = cursor.fetchone()
    made = []
    for underlying in settings.COINS:
        coin, doubtful_since, doubtful_coin = standings.get(underlying, (Decimal(0), None, None))
        made.append(
            CoinCondition(
                underlying=underlying,
                unhedged_coin=coin,
                venue_halted_since=halts.since(halted, underlying),
                doubtful_since=doubtful_since,
                doubtful_coin=doubtful_coin,
                venue_ms=max(venue_ms, 0),
            )
        )
    return made


def tell_news(*, now: datetime) -> None:
    """Tell counter when something has changed since this process told it last, and now and then that nothing has.

    Raises: CounterUnavailable, CounterRefused.
    """
    global _told, _told_at_seconds
    found, moment = conditions(), time.monotonic()
    if _told == found and moment - _told_at_seconds < TOLD_AGAIN_SECONDS:
        return
    counter_client.tell_conditions(found, as_of=now)
    _told, _told_at_seconds = found, moment


def tell(*, now: datetime) -> None:
    """Tell counter. The moment is taken before anything is read, so that of two tellers the later reader counts.

    Raises: CounterUnavailable, CounterRefused.
    """
    counter_client.tell_conditions(conditions(), as_of=now)
