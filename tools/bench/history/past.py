# ruff: noqa: S608 - composed of constants of our own
"""What happened in the past, as one query: every order's terms, times and settlement, by formula from its number.

Both databases are filled from the same rows, so the two sides agree by construction. Coin has 6 decimals, the index
none and the price 2: of all that is multiplied only a spread and what is due at fill have to be rounded.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from counter.market.symbols import EXPIRY_TIME, format_symbol

PAIRS_IN_CONVERSION = 100
CONVERSION_EVERY = timedelta(seconds=5)
# The audit asks the venue for the trades of its last 7 days: what happened here is older.
ENDED_AGO = timedelta(days=9)
EXPIRED_AGO = timedelta(days=8)
STRIKES = {"BTC": range(84_000, 100_000, 2_000), "ETH": range(2_700, 3_500, 100)}
DEPOSIT_USDT = Decimal(1_000_000)

# One conversion crosses PAIRS_IN_CONVERSION opens and, a second later, their closes: the same coin both ways.
ORDERS = f"""
    WITH numbers AS (
        SELECT n, n / {PAIRS_IN_CONVERSION} AS batch, n %% {PAIRS_IN_CONVERSION} AS slot
        FROM generate_series(%(first_pair)s::bigint, %(last_pair)s::bigint) AS n
    ), pairs AS (
        SELECT slot, c.underlying, (n + batch) %% %(customers)s AS customer,
               1 + batch %% 2 * 8 + (batch + slot) %% 8 AS option, 1 + n * 7 %% 20 AS contracts,
               (100 + n * 31 %% 300) * 0.0001 AS premium, c.multiplier,
               round(c.index * (1 + (batch * 17 %% 21 - 10) * 0.0005)) AS index_at_open,
               round(c.index * (1 + (batch * 11 %% 23 - 11) * 0.0005)) AS index_at_close,
               round(c.index * (1 + (batch * 13 %% 41 - 20) * 0.000237), 2) AS price,
               %(first_conversion)s + batch AS conversion_id,
               %(first_order)s + 2 * (n - slot) + slot AS position_id,
               least({PAIRS_IN_CONVERSION}, %(pairs)s - (n - slot)) AS pairs_here,
               %(begins_at)s + batch * %(conversion_every)s AS begun_at
        FROM numbers
        JOIN (VALUES (0, 'BTC', 0.01, 90000), (1, 'ETH', 0.1, 3000)) AS c (number, underlying, multiplier, index)
            ON c.number = batch %% 2
    ), sides AS (
        SELECT p.*, contracts * premium * multiplier AS coin, s.*
        FROM pairs AS p CROSS JOIN LATERAL (VALUES
            (position_id, 'OPEN', 'instant', index_at_open, begun_at + slot * interval '4 ms'),
            (position_id + pairs_here, 'CLOSE', CASE slot %% 5 WHEN 0 THEN 'at_fill' ELSE 'instant' END,
             index_at_close, begun_at + interval '1 s' + slot * interval '4 ms')
        ) AS s (id, kind, payout, index_price, placed_at)
    ), valued AS (
        SELECT *, coin * index_price AS fair, coin * price AS value FROM sides
    ), shares AS (
        SELECT *, CASE payout WHEN 'at_fill' THEN trunc(value, 6) ELSE fair END AS due,
               CASE payout WHEN 'at_fill' THEN 0 ELSE ceil(fair * 0.005 * 1e6) * 0.000001 END AS spread
        FROM valued
    ), orders AS MATERIALIZED (
        SELECT *, CASE kind WHEN 'OPEN' THEN due + spread ELSE due - spread END AS amount,
               CASE WHEN kind = 'OPEN' THEN due - value WHEN payout = 'instant' THEN value - due ELSE 0 END AS slippage,
               CASE payout WHEN 'at_fill' THEN value - due ELSE 0 END AS rounding,
               placed_at + interval '6 ms' AS received_at, placed_at + interval '9 ms' AS synced_at,
               begun_at + interval '2 s' AS planned_at, begun_at + interval '2.03 s' AS booked_at,
               begun_at + interval '2.05 s' AS reported_at
        FROM shares
    )
"""


def conversions(pairs: int) -> int:
    """How many conversions settle them; the last may be smaller."""
    return -(-pairs // PAIRS_IN_CONVERSION)


def terms(*, pairs: int, customers: int, source: str, now: datetime) -> dict[str, Any]:
    """The parameters of ORDERS but for the reserved ids, and what is told of options and customers."""
    begins_at = now - ENDED_AGO - CONVERSION_EVERY * conversions(pairs)
    expires_at = datetime.combine((now - EXPIRED_AGO).date(), EXPIRY_TIME)
    options = [(coin, strike) for coin, strikes in STRIKES.items() for strike in strikes]
    return {
        "pairs": pairs,
        "customers": customers,
        "source": source,
        "begins_at": begins_at,
        "conversion_every": CONVERSION_EVERY,
        "expires_at": expires_at,
        "deposit": DEPOSIT_USDT,
        "underlyings": [coin for coin, _ in options],
        "strikes": [Decimal(strike) for _, strike in options],
        "symbols": [
            format_symbol(underlying=coin, expiry_at=expires_at, strike=Decimal(strike), kind="C")
            for coin, strike in options
        ],
    }
