"""The desk's condition by coin, as counter has to know it to price and to refuse: told every second or two."""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import connections

from acceptance import counter_client
from counter.contracts import CoinCondition
from settlement import halts

# What is still to be bought (positive) or sold: of orders that wait, of conversions whose fills are not booked or may
# never come, and what was carried over. And since when the oldest conversion is out of sight or a person's.
STANDINGS = """
    SELECT underlying, sum(coin), min(doubtful_since) FROM (
        SELECT underlying, CASE kind WHEN 'OPEN' THEN coin ELSE -coin END AS coin,
               NULL::timestamptz AS doubtful_since
        FROM acceptance_acceptedorder WHERE state = 'RECEIVED'
        UNION ALL
        SELECT underlying,
               bought - sold + carry_in_coin - CASE side WHEN 'sell' THEN -filled_coin ELSE filled_coin END,
               CASE WHEN state IN ('UNKNOWN', 'MANUAL') THEN COALESCE(submitted_at, planned_at) END
        FROM settlement_conversion WHERE state NOT IN ('BOOKED', 'MISSED', 'RELEASED')
        UNION ALL
        SELECT underlying, coin, NULL FROM settlement_carry
    ) AS unhedged GROUP BY underlying
"""


def conditions() -> list[CoinCondition]:
    """How each coin of COINS stands: unhedged coin, 8 decimals, and what is wrong since when."""
    halt = halts.standing(settings.VENUE)
    with connections["desk"].cursor() as cursor:
        cursor.execute(STANDINGS)
        standings = {underlying: (coin, since) for underlying, coin, since in cursor.fetchall()}
    made = []
    for underlying in settings.COINS:
        coin, doubtful_since = standings.get(underlying, (Decimal(0), None))
        made.append(
            CoinCondition(
                underlying=underlying,
                unhedged_coin=coin,
                venue_halted_since=halt.began_at if halt else None,
                doubtful_since=doubtful_since,
            )
        )
    return made


def tell(*, now: datetime) -> None:
    """Tell counter. The moment is taken before anything is read, so that of two tellers the later reader counts.

    Raises: CounterUnavailable, CounterRefused.
    """
    counter_client.tell_conditions(conditions(), as_of=now)
