# ruff: noqa: S608 - composed of constants of our own
"""The desk's side of the past: accepted orders, their conversions and shares, and the legs in the desk's book."""

from typing import Any

import psycopg

from tools.bench.history import past

TABLES = (
    *("acceptance_acceptedorder", "acceptance_orderstep", "settlement_conversion", "settlement_allocation"),
    *("settlement_statechange", "settlement_deskaccount", "settlement_desktransfer"),
)
# settlement.book.chart, which needs Django's apps.
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
            door, state, version, conversion_id, received_at, converting_at, settled_at, reported_at)
        SELECT %(first_accepted)s + id - %(first_order)s, %(source)s, id, kind, (%(symbols)s::text[])[option],
               underlying, contracts, coin, index_price, fair, payout, placed_at, 'queue',
               (%(order_way)s::text[])[4], 4, conversion_id,
               received_at, planned_at, booked_at, reported_at
        FROM orders ORDER BY id
    ), stepped AS (
        INSERT INTO acceptance_orderstep (order_id, number, from_state, to_state, conversion_id, at)
        SELECT %(first_accepted)s + id - %(first_order)s, s.step, COALESCE((%(order_way)s::text[])[s.step - 1], ''),
               s.state, CASE WHEN s.step > 1 THEN conversion_id END,
               (ARRAY[received_at, planned_at, booked_at, reported_at])[s.step]
        FROM orders CROSS JOIN unnest(%(order_way)s::text[]) WITH ORDINALITY AS s (state, step) ORDER BY id, s.step
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
        SELECT id, underlying, (%(conversion_way)s::text[])[3], 2, orders, coin, coin, coin, 0, 0, price, '', 0,
               'xb' || replace(gen_random_uuid()::text, '-', ''), '', 0, 0, '', 0, 0, price, 0, 0, 0,
               planned_at, planned_at, booked_at
        FROM conversions ORDER BY id
    ), noted AS (
        INSERT INTO settlement_statechange (subject, subject_id, from_state, to_state, at, by, why)
        SELECT 'conversion', c.id, COALESCE((%(conversion_way)s::text[])[s.step - 1], ''), s.state,
               (ARRAY[planned_at, planned_at, booked_at])[s.step], 'settlement',
               CASE s.step WHEN 2 THEN 'nothing to trade' ELSE '' END
        FROM conversions AS c CROSS JOIN unnest(%(conversion_way)s::text[]) WITH ORDINALITY AS s (state, step)
        ORDER BY c.id, s.step
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
