"""A long, quiet past in seconds: settled and reported orders written straight into both databases, all books right.

For growth, plans and timing: every row is what the real operations would have left (the audit finds nothing to say),
in round figures. The venue knows nothing of it, so an audit of it runs offline.
"""

from typing import Any

from django.db import connections, transaction

ORDERS_EACH_CONVERSION = 100

CUSTOMERS = """
    WITH users AS (
        INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
                               date_joined)
        SELECT '!', false, 'synthetic-' || n, '', '', '', false, true, now() - interval '30 days'
        FROM generate_series(1, %(customers)s) AS n RETURNING id, username
    ), customers AS (
        INSERT INTO counter_customer (user_id, reference, created_at)
        SELECT id, username, now() - interval '30 days' FROM users RETURNING id, reference
    ), accounts AS (
        INSERT INTO counter_account (code, asset, normal_side, customer_id, balance)
        SELECT 'customer:' || id, 'USDT', 'C', id, 1000 FROM customers RETURNING id, customer_id
    ), movements AS (
        INSERT INTO counter_cashmovement (customer_id, kind, amount, reference, created_at)
        SELECT customer_id, 'DEPOSIT', 1000 + 904.5 * (%(orders)s / %(customers)s), 'synthetic-' || id,
               now() - interval '30 days'
        FROM accounts
    ), deposits AS (
        INSERT INTO counter_transfer (
            debit_account_id, credit_account_id, asset, amount, kind, balance_after, created_at)
        SELECT 3, id, 'USDT', 1000 + 904.5 * (%(orders)s / %(customers)s), 'deposit',
               1000 + 904.5 * (%(orders)s / %(customers)s), now() - interval '30 days'
        FROM accounts
    )
    INSERT INTO counter_option (symbol, underlying, kind, strike, expires_at, multiplier, state)
    VALUES ('BTC-27DEC30-90000-C', 'BTC', 'C', 90000, '2030-12-27 08:00Z', 0.01, 'LISTED')
    ON CONFLICT (symbol) DO NOTHING
"""
# Order n belongs to conversion (n - 1) / 100 + 1 and was placed a tenth of a second after the one before.
ORDERS = """
    WITH customers AS (
        SELECT c.id, a.id AS account_id, row_number() OVER (ORDER BY c.id) AS place
        FROM counter_customer AS c JOIN counter_account AS a ON a.customer_id = c.id
        WHERE c.reference LIKE 'synthetic-%%'
    ), numbered AS (
        SELECT %(first_order)s + n - 1 AS id, n, customers.id AS customer_id, customers.account_id,
               %(first_conversion)s + (n - 1) / %(each)s AS conversion_id,
               date_trunc('second', now() - interval '29 days') + n * interval '100 ms' AS at
        FROM generate_series(1, %(orders)s) AS n JOIN customers ON place = (n - 1) %% %(customers)s + 1
    ), orders AS (
        INSERT INTO counter_syncorder (
            id, customer_id, client_order_id, kind, option_id, position_id, symbol, underlying, contracts, premium,
            index_price, coin, fair, spread, amount, payout, state, placed_at, synced_at, settled_at, conversion_id,
            settlement_price, settlement_value, settlement_fee, settlement_due)
        SELECT n.id, customer_id, 'synthetic-' || n.id, 'OPEN', o.id, n.id, o.symbol, 'BTC', 1, 1, 90000, 0.01, 900,
               4.5, 904.5, 'instant', 'SETTLED', at, at + interval '20 ms', at + interval '90 ms', conversion_id,
               90000, 900, 0.9, 900
        FROM numbered AS n, counter_option AS o WHERE o.symbol = 'BTC-27DEC30-90000-C' ORDER BY n.id
    ), positions AS (
        INSERT INTO counter_position (
            id, customer_id, option_id, contracts, remaining, unpaid, cost, proceeds, state, opened_at)
        SELECT n.id, customer_id, o.id, 1, 1, 0, 904.5, 0, 'OPEN', at
        FROM numbered AS n, counter_option AS o WHERE o.symbol = 'BTC-27DEC30-90000-C' ORDER BY n.id
    )
    INSERT INTO counter_transfer (
        debit_account_id, credit_account_id, asset, amount, kind, order_id, balance_after, created_at)
    SELECT account_id, leg.account, 'USDT', leg.amount, leg.kind, id, NULL, at
    FROM numbered, (VALUES (1, 900, 'open'), (2, 4.5, 'spread')) AS leg (account, amount, kind) ORDER BY id
"""
DESK_ACCOUNTS = """
    INSERT INTO settlement_deskaccount (code, asset, normal_side)
    VALUES ('venue', 'USDT', 'D'), ('venue', 'BTC', 'D'), ('counter', 'USDT', 'D'), ('trading', 'USDT', 'D'),
           ('trading', 'BTC', 'D'), ('fees', 'USDT', 'D'), ('options', 'BTC', 'C')
    ON CONFLICT (code, asset) DO NOTHING
"""
DESK = """
    WITH numbered AS (
        SELECT %(first_order)s + n - 1 AS order_id, %(first_conversion)s + (n - 1) / %(each)s AS conversion_id,
               date_trunc('second', %(at)s::timestamptz - interval '29 days') + n * interval '100 ms' AS at
        FROM generate_series(1, %(orders)s) AS n
    ), accepted AS (
        INSERT INTO acceptance_acceptedorder (
            source, order_id, kind, symbol, underlying, contracts, coin, index_price, fair, payout, placed_at, door,
            state, version, conversion_id, received_at, converting_at, settled_at, reported_at)
        SELECT %(source)s, order_id, 'OPEN', 'BTC-27DEC30-90000-C', 'BTC', 1, 0.01, 90000, 900, 'instant', at, 'queue',
               'REPORTED', 4, conversion_id, at + interval '20 ms', at + interval '40 ms', at + interval '90 ms',
               at + interval '95 ms'
        FROM numbered ORDER BY order_id RETURNING id, conversion_id, received_at, converting_at, settled_at, reported_at
    ), steps AS (
        INSERT INTO acceptance_orderstep (order_id, number, from_state, to_state, conversion_id, at)
        SELECT id, step.n, step.from_state, step.to_state, CASE WHEN step.n > 1 THEN conversion_id END, step.at
        FROM accepted, LATERAL (VALUES (1, '', 'RECEIVED', received_at), (2, 'RECEIVED', 'CONVERTING', converting_at),
            (3, 'CONVERTING', 'SETTLED', settled_at), (4, 'SETTLED', 'REPORTED', reported_at)
        ) AS step (n, from_state, to_state, at) ORDER BY id, step.n
    ), shares AS (
        INSERT INTO settlement_allocation (order_id, conversion_id, value, fee, due, slippage, rounding)
        SELECT id, conversion_id, 900, 0.9, 900, 0, 0 FROM accepted ORDER BY id
    ), batches AS (
        SELECT conversion_id AS id, count(*) AS orders, max(at) AS at FROM numbered GROUP BY 1
    ), conversions AS (
        INSERT INTO settlement_conversion (
            id, underlying, state, version, order_count, bought, sold, crossed, carry_in_coin, carry_in_usdt,
            reference_price, side, quantity, limit_price, client_order_id, venue_order_id, attempts, misses, reason,
            filled_coin, filled_usdt, price, fee_usdt, carry_out_coin, carry_out_usdt,
            planned_at, submitted_at, filled_at, booked_at)
        SELECT id, 'BTC', 'BOOKED', 3, orders, 0.01 * orders, 0, 0, 0, 0, 90000, 'buy', 0.01 * orders, 90450,
               'synthetic' || id, 'synthetic' || id, 1, 0, '', 0.01 * orders, 900 * orders, 90000, 0.9 * orders, 0, 0,
               at, at, at, at
        FROM batches ORDER BY id
    ), fills AS (
        INSERT INTO settlement_fill (
            conversion_id, symbol, venue_trade_id, price, coin, usdt, fee, fee_asset, traded_at)
        SELECT id, 'BTC/USDT', 'synthetic' || id, 90000, 0.01 * orders, 900 * orders, 0.9 * orders, 'USDT', at
        FROM batches ORDER BY id
    ), history AS (
        INSERT INTO settlement_statechange (subject, subject_id, from_state, to_state, at, by, why)
        SELECT 'conversion', id, step.from_state, step.to_state, at, 'synthetic', ''
        FROM batches, (VALUES (1, '', 'PLANNED'), (2, 'PLANNED', 'SUBMITTED'), (3, 'SUBMITTED', 'FILLED'),
                              (4, 'FILLED', 'BOOKED')) AS step (n, from_state, to_state) ORDER BY id, step.n
    ), calls AS (
        INSERT INTO settlement_attempt (
            subject, subject_id, call, request, sent_at, answered_at, outcome, code, answer)
        SELECT 'conversion', id, 'submit', '{}', at, at, 'done', '', '' FROM batches ORDER BY id
    )
    INSERT INTO settlement_desktransfer (
        debit_account_id, credit_account_id, asset, amount, kind, conversion_id, created_at)
    SELECT debit.id, credit.id, leg.asset, leg.each * orders, leg.kind, batches.id, at
    FROM batches, (VALUES
        ('open', 'BTC', 'trading', 'options', 0.01), ('open', 'USDT', 'counter', 'trading', 900),
        ('fill', 'BTC', 'venue', 'trading', 0.01), ('fill', 'USDT', 'trading', 'venue', 900),
        ('fee', 'USDT', 'fees', 'venue', 0.9)) AS leg (kind, asset, debit, credit, each)
    JOIN settlement_deskaccount AS debit ON debit.code = leg.debit AND debit.asset = leg.asset
    JOIN settlement_deskaccount AS credit ON credit.code = leg.credit AND credit.asset = leg.asset
    ORDER BY batches.id
"""
TABLES = {
    "default": ["counter_syncorder", "counter_position", "counter_transfer", "counter_account"],
    "desk": [
        *("acceptance_acceptedorder", "acceptance_orderstep", "settlement_allocation"),
        *("settlement_conversion", "settlement_fill"),
        *("settlement_statechange", "settlement_attempt", "settlement_desktransfer"),
    ],
}


def write_past(*, orders: int, customers: int = 1000, source: str = "crossbook") -> None:
    """Write `orders` opening orders, of as many customers each, to empty databases; analyzed afterwards."""
    if orders % customers or orders % ORDERS_EACH_CONVERSION:
        raise ValueError("orders must be a multiple of customers and of ORDERS_EACH_CONVERSION")
    parameters: dict[str, Any] = {
        "orders": orders,
        "customers": customers,
        "each": ORDERS_EACH_CONVERSION,
        "source": source,
        "first_order": 1,
        "first_conversion": 1,
    }
    with transaction.atomic(using="default"), transaction.atomic(using="desk"):
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT now()")
            parameters["at"] = cursor.fetchone()[0]
            cursor.execute(CUSTOMERS, parameters)
            cursor.execute(ORDERS, parameters)
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('counter_syncorder', 'id'), max(id)) FROM counter_syncorder"
            )
        with connections["desk"].cursor() as cursor:
            cursor.execute(DESK_ACCOUNTS)
            cursor.execute(DESK, parameters)
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('settlement_conversion', 'id'), max(id)) "
                "FROM settlement_conversion"
            )
    for alias, tables in TABLES.items():
        with connections[alias].cursor() as cursor:
            cursor.execute(f"VACUUM ANALYZE {', '.join(tables)}")
