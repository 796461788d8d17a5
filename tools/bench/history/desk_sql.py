# ruff: noqa: S608 - composed of constants of our own
"""The desk's side of the past: accepted orders, their conversions and shares, and the legs in the desk's book."""

from typing import Any

import psycopg

from bench.history import past

TABLES = (
    *("acceptance_acceptedorder", "settlement_conversion", "settlement_allocation", "settlement_statechange"),
    *("settlement_deskaccount", "settlement_desktransfer"),
)
# settlement.chart, which needs Django's apps.
ACCOUNTS = """
    INSERT INTO settlement_deskaccount (code, asset, normal_side)
    SELECT * FROM (VALUES
        ('counter', 'USDT', 'D'), ('trading', 'USDT', 'D'), ('pnl:conversion', 'USDT', 'C'), ('rounding', 'USDT', 'C'),
        ('trading', 'BTC', 'D'), ('options', 'BTC', 'C'), ('trading', 'ETH', 'D'), ('options', 'ETH', 'C')
    ) AS chart ON CONFLICT (code, asset) DO NOTHING
"""
SETTLED = f"""{past.ORDERS}, accepted AS (
        INSERT INTO acceptance_acceptedorder (
            id, source, order_id, kind, symbol, underlying, contracts, coin, index_price, fair, payout, placed_at,
            door, state, conversion_id, received_at, converting_at, settled_at, reported_at)
        SELECT %(first_accepted)s + id - %(first_order)s, %(source)s, id, kind, (%(symbols)s::text[])[option],
               underlying, contracts, coin, index_price, fair, payout, placed_at, 'queue', 'REPORTED', conversion_id,
               received_at, planned_at, booked_at, reported_at
        FROM orders ORDER BY id
    ), allocated AS (
        INSERT INTO settlement_allocation (order_id, conversion_id, value, fee, due, slippage, rounding)
        SELECT %(first_accepted)s + id - %(first_order)s, conversion_id, value, 0, due, slippage, rounding
        FROM orders ORDER BY id
    ), conversions AS (
        SELECT conversion_id AS id, underlying, price, planned_at, booked_at, count(*) AS orders,
               sum(coin) FILTER (WHERE kind = 'OPEN') AS coin, sum(slippage) AS slippage, sum(rounding) AS rounding,
               sum(due) FILTER (WHERE kind = 'OPEN') AS due_on_opens,
               sum(due) FILTER (WHERE kind = 'CLOSE') AS due_on_closes
        FROM orders GROUP BY 1, 2, 3, 4, 5
    ), booked AS (
        INSERT INTO settlement_conversion (
            id, underlying, state, version, order_count, bought, sold, crossed, carry_in_coin, carry_in_usdt,
            reference_price, side, quantity, client_order_id, venue_order_id, attempts, misses, reason, filled_coin,
            filled_usdt, price, fee_usdt, carry_out_coin, carry_out_usdt, planned_at, filled_at, booked_at)
        SELECT id, underlying, 'BOOKED', 2, orders, coin, coin, coin, 0, 0, price, '', 0,
               'xb' || replace(gen_random_uuid()::text, '-', ''), '', 0, 0, '', 0, 0, price, 0, 0, 0,
               planned_at, planned_at, booked_at
        FROM conversions ORDER BY id
    ), noted AS (
        INSERT INTO settlement_statechange (subject, subject_id, from_state, to_state, at, by, why)
        SELECT 'conversion', c.id, s.from_state, s.to_state, s.at, 'settlement', s.why
        FROM conversions AS c CROSS JOIN LATERAL (VALUES
            (1, '', 'PLANNED', planned_at, ''),
            (2, 'PLANNED', 'FILLED', planned_at, 'nothing to trade'),
            (3, 'FILLED', 'BOOKED', booked_at, '')
        ) AS s (step, from_state, to_state, at, why) ORDER BY c.id, s.step
    )
    INSERT INTO settlement_desktransfer (
        debit_account_id, credit_account_id, asset, amount, kind, conversion_id, created_at)
    SELECT debit.id, credit.id, l.asset, abs(l.amount), l.kind, c.id, c.booked_at
    FROM conversions AS c CROSS JOIN LATERAL (VALUES
        (1, 'open', underlying, 'trading', 'options', coin),
        (2, 'close', underlying, 'options', 'trading', coin),
        (3, 'open', 'USDT', 'counter', 'trading', due_on_opens),
        (4, 'close', 'USDT', 'trading', 'counter', due_on_closes),
        (5, 'slippage', 'USDT', 'trading', 'pnl:conversion', slippage),
        (6, 'rounding', 'USDT', 'trading', 'rounding', rounding)
    ) AS l (leg, kind, asset, debit, credit, amount)
    JOIN settlement_deskaccount AS debit ON debit.asset = l.asset
        AND debit.code = CASE WHEN l.amount > 0 THEN l.debit ELSE l.credit END
    JOIN settlement_deskaccount AS credit ON credit.asset = l.asset
        AND credit.code = CASE WHEN l.amount > 0 THEN l.credit ELSE l.debit END
    WHERE l.amount <> 0 ORDER BY c.id, l.leg
"""


def begin(connection: psycopg.Connection[Any]) -> None:
    """Open the accounts that a crossing is booked on."""
    connection.execute(ACCOUNTS)
