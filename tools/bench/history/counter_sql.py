# ruff: noqa: S608 - composed of constants of our own
"""Counter's side of the past: customers with their deposits, options long settled, orders, positions and legs."""

from typing import Any

import psycopg

from tools.bench.history import past

TABLES = (
    *("auth_user", "counter_customer", "counter_account", "counter_cashmovement", "counter_option"),
    *("counter_syncorder", "counter_position", "counter_transfer"),
)
CLEARING, SPREAD, EXTERNAL = 1, 2, 3  # counter.money.chart.SystemAccount, which needs Django's apps

# Every position was closed before the expiry, which then needs no settlement index.
EXPIRIES = """
    INSERT INTO counter_expiry (
        underlying, expires_at, state, why, exercised, worthless, left_to_fill, paid_at_once, taken_at, settled_at)
    SELECT DISTINCT underlying, %(expires_at)s, %(expiry_state)s, '', 0, 0, 0, 0, %(expires_at)s, %(expires_at)s
    FROM unnest(%(underlyings)s::text[]) AS o (underlying)
    ON CONFLICT (underlying, expires_at) DO NOTHING
"""
OPTIONS = """
    INSERT INTO counter_option (symbol, underlying, kind, strike, expires_at, multiplier, state)
    SELECT o.symbol, o.underlying, 'C', o.strike, %(expires_at)s,
           CASE o.underlying WHEN 'BTC' THEN 0.01 ELSE 0.1 END, %(option_state)s
    FROM unnest(%(symbols)s::text[], %(underlyings)s::text[], %(strikes)s::numeric[])
        AS o (symbol, underlying, strike)
    ON CONFLICT (symbol) DO NOTHING
"""
OPTION_IDS = """
    SELECT array_agg(o.id ORDER BY s.place) FROM unnest(%(symbols)s::text[]) WITH ORDINALITY AS s (symbol, place)
    JOIN counter_option AS o ON o.symbol = s.symbol
"""
CUSTOMERS = f"""
    WITH people AS (
        SELECT %(first_user)s + n AS user_id, %(first_customer)s + n AS customer_id,
               %(first_account)s + n AS account_id, 'history-' || %(first_customer)s + n AS reference,
               %(begins_at)s - interval '1 hour' AS at
        FROM generate_series(0, %(customers)s - 1) AS n
    ), users AS (
        INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff,
                               is_active, date_joined)
        SELECT user_id, '!' || md5(random()::text), false, reference, '', '', '', false, true, at FROM people
    ), known AS (
        INSERT INTO counter_customer (id, user_id, reference, created_at)
        SELECT customer_id, user_id, reference, at FROM people
    ), accounts AS (
        INSERT INTO counter_account (id, code, asset, normal_side, customer_id, balance)
        SELECT account_id, 'customer:' || customer_id, 'USDT', 'C', customer_id, %(deposit)s FROM people
    ), deposits AS (
        INSERT INTO counter_cashmovement (customer_id, kind, amount, reference, created_at)
        SELECT customer_id, 'DEPOSIT', %(deposit)s, 'deposit-' || reference, at FROM people
    )
    INSERT INTO counter_transfer (debit_account_id, credit_account_id, asset, amount, kind, balance_after, created_at)
    SELECT {EXTERNAL}, account_id, 'USDT', %(deposit)s, 'deposit', %(deposit)s, at FROM people ORDER BY account_id
"""
ORDERS = f"""{past.ORDERS}, placed AS (
        INSERT INTO counter_syncorder (
            id, customer_id, client_order_id, kind, option_id, position_id, symbol, underlying, contracts, premium,
            index_price, coin, fair, spread, amount, payout, state, placed_at, synced_at, settled_at, conversion_id,
            settlement_price, settlement_value, settlement_fee, settlement_due)
        SELECT id, %(first_customer)s + customer, 'history-' || id, kind, (%(option_ids)s::bigint[])[option],
               position_id, (%(symbols)s::text[])[option], underlying, contracts, premium, index_price, coin, fair,
               spread, amount, payout, %(order_state)s, placed_at, synced_at, booked_at, conversion_id, price, value,
               0, due
        FROM orders ORDER BY id
    )
    INSERT INTO counter_position (
        id, customer_id, option_id, contracts, remaining, unpaid, cost, proceeds, state, opened_at, closed_at)
    SELECT o.id, %(first_customer)s + o.customer, (%(option_ids)s::bigint[])[o.option], o.contracts, 0, 0, o.amount,
           c.amount, %(position_state)s, o.placed_at,
           CASE c.payout WHEN 'at_fill' THEN c.reported_at ELSE c.placed_at END
    FROM orders AS o JOIN orders AS c ON c.position_id = o.id AND c.kind = 'CLOSE'
    WHERE o.kind = 'OPEN' ORDER BY o.id
"""
# In the order in which they were written; each leg of a customer shows the balance that it left.
TRANSFERS = f"""{past.ORDERS}, legs AS (
        SELECT o.id AS order_id, a.id AS account_id, a.balance, l.*
        FROM orders AS o JOIN counter_account AS a ON a.id = %(first_account)s + o.customer
        CROSS JOIN LATERAL (VALUES
            (1, o.kind = 'OPEN', a.id, {CLEARING}, o.due, 'open', -o.due, o.placed_at),
            (2, o.kind = 'OPEN', a.id, {SPREAD}, o.spread, 'spread', -o.spread, o.placed_at),
            (1, o.kind = 'CLOSE' AND o.payout = 'instant', {CLEARING}, a.id, o.amount, 'close', o.amount, o.placed_at),
            (2, o.kind = 'CLOSE' AND o.payout = 'instant', {CLEARING}, {SPREAD}, o.spread, 'spread', NULL, o.placed_at),
            (1, o.payout = 'at_fill', {CLEARING}, a.id, o.due, 'payout', o.due, o.reported_at)
        ) AS l (leg, is_moved, debit, credit, amount, kind, change, at)
        WHERE l.is_moved
    ), paid AS (
        UPDATE counter_account AS a SET balance = a.balance + m.change
        FROM (SELECT account_id, sum(change) AS change FROM legs GROUP BY 1) AS m WHERE a.id = m.account_id
    )
    INSERT INTO counter_transfer (
        debit_account_id, credit_account_id, asset, amount, kind, order_id, balance_after, created_at)
    SELECT debit, credit, 'USDT', amount, kind, order_id,
           CASE WHEN change IS NOT NULL THEN balance + sum(change) OVER (
               PARTITION BY account_id ORDER BY at, order_id, leg ROWS UNBOUNDED PRECEDING) END, at
    FROM legs ORDER BY at, order_id, leg
"""


def begin(connection: psycopg.Connection[Any], parameters: dict[str, Any]) -> None:
    """Write the customers and the options, whose ids join the parameters."""
    connection.execute(CUSTOMERS, parameters)
    connection.execute(EXPIRIES, parameters)
    connection.execute(OPTIONS, parameters)
    ((parameters["option_ids"],),) = connection.execute(OPTION_IDS, parameters)
