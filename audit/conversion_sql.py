# ruff: noqa: S608 - composed of constants of our own
"""The queries behind invariant 4: docs/decisions/netting.md in SQL, over all conversions at once.

Invariant: NUMERIC is exact and nothing is rounded but where the formulas round, so a figure is equal or wrong.
"""

from counter.contracts import AT_FILL_TOLERANCE_RATE
from settlement.book.chart import COUNTER, FEES, OPTIONS, PNL, ROUNDING, SUSPENSE, TRADING, USDT, VENUE

ACCEPTED = "SELECT count(*) FROM acceptance_acceptedorder"
MISPLACED = """
    SELECT COALESCE(o.source || '/' || o.order_id, 'allocation ' || a.order_id), o.state, o.conversion_id,
           a.conversion_id, c.state, count(*) OVER ()
    FROM acceptance_acceptedorder AS o
    FULL JOIN settlement_allocation AS a ON a.order_id = o.id
    LEFT JOIN settlement_conversion AS c ON c.id = COALESCE(a.conversion_id, o.conversion_id)
    WHERE CASE
        WHEN o.state = 'RECEIVED' OR (o.state = 'DISOWNED' AND o.conversion_id IS NULL)
            THEN a.order_id IS NULL AND o.conversion_id IS NULL
        WHEN o.state = 'CONVERTING' THEN a.order_id IS NULL AND c.state = ANY(%s)
        ELSE a.conversion_id = o.conversion_id AND c.state = 'BOOKED'
    END IS NOT TRUE
    ORDER BY o.id LIMIT 50
"""
IN_FLIGHT = """
    SELECT source || '/' || order_id, detail, since, count(*) OVER () FROM (
        SELECT source, order_id, 'RECEIVED' AS detail, received_at AS since
        FROM acceptance_acceptedorder WHERE state = 'RECEIVED'
        UNION ALL
        SELECT o.source, o.order_id, 'CONVERTING by conversion ' || c.id || ', ' || c.state, o.converting_at
        FROM settlement_conversion AS c JOIN acceptance_acceptedorder AS o ON o.conversion_id = c.id
        WHERE c.state NOT IN ('BOOKED', 'MISSED', 'RELEASED') AND o.state = 'CONVERTING'
    ) AS waiting ORDER BY since LIMIT 50
"""

# Half-even rounding to 8 decimals of a product that has 16: PostgreSQL's round() takes halves away from zero.
HALF_EVEN = """(CASE WHEN abs({x} * 1e8 - trunc({x} * 1e8)) = 0.5 THEN 2 * round({x} * 1e8 / 2) / 1e8
                ELSE round({x}, 8) END)"""
# What a payout at fill may be: tolerance and bounds in units of 8 decimals, as netting has them.
_TOLERANCE = f"trunc(o.fair * {AT_FILL_TOLERANCE_RATE}, 8)"
LEAST_AT_FILL, MOST_AT_FILL = f"o.fair - {_TOLERANCE}", f"o.fair + {_TOLERANCE}"
# `claimed` are the orders of open conversions, `shares` those of booked ones, `executed` the fills, signed by side.
FACTS = f"""
    WITH claimed AS (
        SELECT c.id, count(o.id) AS orders,
               COALESCE(sum(o.coin) FILTER (WHERE o.kind = 'OPEN'), 0) AS bought,
               COALESCE(sum(o.coin) FILTER (WHERE o.kind <> 'OPEN'), 0) AS sold
        FROM settlement_conversion AS c LEFT JOIN acceptance_acceptedorder AS o ON o.conversion_id = c.id
        WHERE c.state NOT IN ('BOOKED', 'MISSED', 'RELEASED') GROUP BY 1
    ), judged AS (
        SELECT a.*, o.coin, o.kind = 'OPEN' AS buys, o.kind <> 'OPEN' AND o.payout = 'at_fill' AS at_fill,
               CASE
                   WHEN o.kind = 'OPEN' THEN
                       a.due = o.fair AND a.slippage = a.due - a.value AND a.rounding = 0
                   WHEN o.payout = 'instant' THEN
                       a.due = o.fair AND a.slippage = a.value - a.due AND a.rounding = 0
                   -- What was paid before there were bounds has no slippage.
                   ELSE a.slippage + a.rounding = a.value - a.fee - a.due AND CASE
                       WHEN a.slippage = 0 THEN a.due = trunc(greatest(a.value - a.fee, 0), 6)
                       ELSE a.due = trunc(least(greatest(
                               a.value - a.fee, {LEAST_AT_FILL}), {MOST_AT_FILL}), 6) AND a.rounding = 0
                   END
               END IS NOT TRUE AS is_wrong
        FROM settlement_allocation AS a JOIN acceptance_acceptedorder AS o ON o.id = a.order_id
    ), shares AS (
        SELECT conversion_id AS id, count(*) AS orders, count(*) FILTER (WHERE is_wrong) AS wrong,
               COALESCE(sum(coin) FILTER (WHERE buys), 0) AS bought,
               COALESCE(sum(coin) FILTER (WHERE NOT buys), 0) AS sold,
               sum(CASE WHEN buys THEN value ELSE -value END) AS net_value,
               COALESCE(sum(due) FILTER (WHERE buys), 0) AS due_on_opens,
               COALESCE(sum(due) FILTER (WHERE NOT buys), 0) AS due_on_closes,
               sum(fee) AS fee, COALESCE(sum(fee) FILTER (WHERE at_fill), 0) AS fee_borne,
               sum(slippage) AS slippage, sum(rounding) AS rounding
        FROM judged GROUP BY 1
    ), executed AS (
        SELECT c.id, count(*) AS fills, sum(f.coin) AS coin, sum(f.usdt) AS usdt,
               CASE c.side WHEN 'buy' THEN 1 WHEN 'sell' THEN -1 END AS sign,
               COALESCE(sum(f.fee) FILTER (WHERE f.fee_asset = c.underlying), 0) AS fee_coin,
               COALESCE(sum(f.fee) FILTER (WHERE f.fee_asset = '{USDT}'), 0) AS fee_usdt,
               COALESCE(sum(f.fee_usdt), 0) AS fee_other
        FROM settlement_fill AS f JOIN settlement_conversion AS c ON c.id = f.conversion_id GROUP BY c.id
    ), booked AS (
        SELECT c.*, COALESCE(s.orders, 0) AS shared_orders, COALESCE(s.wrong, 0) AS wrong_shares,
               COALESCE(s.bought, 0) AS shared_bought, COALESCE(s.sold, 0) AS shared_sold,
               COALESCE(s.net_value, 0) AS shared_value, COALESCE(s.fee, 0) AS shared_fee,
               COALESCE(s.fee_borne, 0) AS fee_borne, COALESCE(s.due_on_opens, 0) AS due_on_opens,
               COALESCE(s.due_on_closes, 0) AS due_on_closes, COALESCE(s.slippage, 0) AS slippage,
               COALESCE(s.rounding, 0) AS rounding,
               COALESCE(e.sign * e.coin, 0) AS traded_coin, COALESCE(e.sign * e.usdt, 0) AS traded_usdt,
               COALESCE(e.sign * e.coin, 0) + w.coin AS took_coin,
               COALESCE(e.sign * e.usdt, 0) + w.usdt AS took_usdt,
               w.coin AS suspense_coin, w.usdt AS suspense_usdt,
               COALESCE(e.fee_coin, 0) AS fee_in_coin, COALESCE(e.fee_usdt, 0) AS fee_in_usdt,
               COALESCE(e.fee_other, 0) AS fee_in_other, e.fills,
               {HALF_EVEN.format(x="(c.bought - c.sold) * c.price")} AS net_value,
               {HALF_EVEN.format(x="COALESCE(e.fee_coin, 0) * c.price")} AS fee_coin_value,
               {HALF_EVEN.format(x="c.carry_out_coin * c.price")} AS carry_out_value,
               {HALF_EVEN.format(x="c.carry_in_coin * c.price")} AS carry_in_value
        FROM settlement_conversion AS c
        CROSS JOIN LATERAL (SELECT
            CASE c.side WHEN 'sell' THEN -c.written_off_coin ELSE c.written_off_coin END AS coin,
            CASE c.side WHEN 'sell' THEN -c.written_off_usdt ELSE c.written_off_usdt END AS usdt) AS w
        LEFT JOIN shares AS s ON s.id = c.id LEFT JOIN executed AS e ON e.id = c.id
        WHERE c.state = 'BOOKED'
    )
"""
# What is unequal: figures of booked conversions, legs of booked ones, claims of open ones, fills of all.
UNEQUAL = f"""{FACTS}, expected AS (
        SELECT b.id, l.code, l.asset, l.amount FROM booked AS b CROSS JOIN LATERAL (VALUES
            ('{COUNTER}', '{USDT}', b.due_on_opens - b.due_on_closes),
            ('{VENUE}', '{USDT}', -b.traded_usdt - b.fee_in_usdt),
            ('{VENUE}', b.underlying, b.traded_coin - b.fee_in_coin),
            ('{SUSPENSE}', '{USDT}', -b.suspense_usdt),
            ('{SUSPENSE}', b.underlying, b.suspense_coin),
            ('{OPTIONS}', b.underlying, b.sold - b.bought),
            ('{TRADING}', b.underlying, b.carry_out_coin - b.carry_in_coin),
            ('{TRADING}', '{USDT}', b.carry_in_usdt - b.carry_out_usdt),
            ('{FEES}', '{USDT}', b.fee_in_usdt + b.fee_coin_value - b.fee_borne),
            ('{PNL}', '{USDT}', b.carry_in_value - b.carry_in_usdt - b.slippage),
            ('{ROUNDING}', '{USDT}', b.carry_out_value + b.took_usdt - b.carry_in_value - b.net_value
                - b.fee_coin_value - b.rounding)
        ) AS l (code, asset, amount)
        UNION ALL
        SELECT f.conversion_id, l.code, f.fee_asset, l.sign * f.fee
        FROM settlement_fill AS f JOIN booked AS b ON b.id = f.conversion_id
        CROSS JOIN (VALUES ('{VENUE}', -1), ('{FEES}', 1)) AS l (code, sign)
        WHERE f.fee_asset NOT IN ('{USDT}', b.underlying)
    ), posted AS (
        SELECT conversion_id AS id, debit_account_id AS account_id, amount FROM settlement_desktransfer
        WHERE conversion_id IS NOT NULL
        UNION ALL
        SELECT conversion_id, credit_account_id, -amount FROM settlement_desktransfer WHERE conversion_id IS NOT NULL
    ), legs AS (
        SELECT id, code, asset, 0 AS has, amount AS should FROM expected
        UNION ALL
        SELECT p.id, a.code, a.asset, p.amount, 0
        FROM posted AS p JOIN settlement_deskaccount AS a ON a.id = p.account_id
    )
    SELECT id, figure, has, should, count(*) OVER () FROM (
        SELECT b.id, f.figure, f.has, f.should FROM booked AS b CROSS JOIN LATERAL (VALUES
            ('orders', b.shared_orders::numeric, b.order_count::numeric),
            ('shares that are not their order''s', b.wrong_shares, 0),
            ('coin of the opens', b.shared_bought, b.bought),
            ('coin of the closes', b.shared_sold, b.sold),
            ('value of opens less closes', b.shared_value, b.net_value),
            ('shares of the fee', b.shared_fee, CASE WHEN b.order_count > 0 THEN b.fee_usdt ELSE 0 END),
            ('fee', b.fee_usdt, b.fee_in_usdt + b.fee_coin_value + b.fee_in_other),
            ('coin carried out', b.carry_out_coin,
                b.carry_in_coin + b.bought - b.sold - b.took_coin + b.fee_in_coin),
            ('USDT carried out', b.carry_out_usdt, b.carry_out_value),
            ('price', b.price, CASE WHEN b.took_coin = 0 THEN b.reference_price
                WHEN abs(b.price * b.took_coin - b.took_usdt) <= abs(b.took_coin) * 0.000000005 THEN b.price
                ELSE round(b.took_usdt / b.took_coin, 8) END)
        ) AS f (figure, has, should)
        UNION ALL
        SELECT id, 'legs on ' || code || ' ' || asset, sum(has), sum(should) FROM legs GROUP BY id, code, asset
        UNION ALL
        SELECT c.id, f.figure, f.has, f.should
        FROM claimed JOIN settlement_conversion AS c USING (id) CROSS JOIN LATERAL (VALUES
            ('orders', claimed.orders::numeric, c.order_count::numeric),
            ('coin of the opens', claimed.bought, c.bought),
            ('coin of the closes', claimed.sold, c.sold)
        ) AS f (figure, has, should)
        UNION ALL
        SELECT c.id, f.figure, f.has, f.should
        FROM settlement_conversion AS c LEFT JOIN executed AS e ON e.id = c.id CROSS JOIN LATERAL (VALUES
            ('coin of the fills', COALESCE(e.coin, 0), c.filled_coin),
            ('USDT of the fills', COALESCE(e.usdt, 0), c.filled_usdt),
            ('fills', COALESCE(e.fills, 0)::numeric,
                CASE WHEN c.state IN ('FILLED', 'BOOKED') THEN COALESCE(e.fills, 0) ELSE 0 END)
        ) AS f (figure, has, should)
    ) AS figures WHERE has IS DISTINCT FROM should ORDER BY id LIMIT 50
"""
# The trading account is what no conversion has settled yet: the carry, and what open conversions took out of it.
CARRIED = f"""
    WITH carried AS (
        SELECT underlying, coin, usdt FROM settlement_carry
        UNION ALL
        SELECT underlying, carry_in_coin, carry_in_usdt FROM settlement_conversion
        WHERE state NOT IN ('BOOKED', 'MISSED', 'RELEASED')
    ), expected AS (
        SELECT underlying AS asset, sum(coin) AS amount FROM carried GROUP BY 1
        UNION ALL
        SELECT '{USDT}', -sum(usdt) FROM carried
    ), trading AS (
        SELECT a.asset, sum(CASE t.debit_account_id WHEN a.id THEN t.amount ELSE -t.amount END) AS amount
        FROM settlement_deskaccount AS a
        JOIN settlement_desktransfer AS t ON a.id IN (t.debit_account_id, t.credit_account_id)
        WHERE a.code = '{TRADING}' GROUP BY 1
    )
    SELECT COALESCE(t.asset, e.asset), COALESCE(t.amount, 0), COALESCE(e.amount, 0), count(*) OVER ()
    FROM trading AS t FULL JOIN expected AS e ON e.asset = t.asset
    WHERE COALESCE(t.amount, 0) <> COALESCE(e.amount, 0)
"""
