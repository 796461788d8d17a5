"""Invariant 9: what an order moved of its customer's money is what it had to move, each leg exactly once.

A statement about counter alone, true in every snapshot of it: an order's legs are written in the transaction that
accepts it, and the payout of a close at fill in the transaction that settles it.
"""

from audit.findings import Finding, Result
from audit.reading import Reading, where_order

ORDERS = "SELECT count(*) FROM counter_syncorder"
# An order's main leg is named after its kind; clearing and spread are what they received, net.
LEGS = """
    WITH legs AS (
        SELECT order_id, count(*) AS legs,
               count(*) FILTER (WHERE kind NOT IN ('payout', 'spread')) AS mains,
               max(kind) FILTER (WHERE kind NOT IN ('payout', 'spread')) AS main_kind,
               count(*) FILTER (WHERE kind = 'payout') AS payouts,
               count(*) FILTER (WHERE kind = 'spread') AS spreads,
               sum(amount * ((credit_account_id = 1)::int - (debit_account_id = 1)::int)) AS clearing,
               sum(amount * ((credit_account_id = 2)::int - (debit_account_id = 2)::int)) AS spread,
               min(debit_account_id) FILTER (WHERE debit_account_id >= 1000) AS first_debited,
               max(debit_account_id) FILTER (WHERE debit_account_id >= 1000) AS last_debited,
               min(credit_account_id) FILTER (WHERE credit_account_id >= 1000) AS first_credited,
               max(credit_account_id) FILTER (WHERE credit_account_id >= 1000) AS last_credited
        FROM counter_transfer WHERE order_id IS NOT NULL GROUP BY 1
    ), orders AS (
        SELECT o.id, o.kind, o.payout, o.state, o.fair, o.spread, o.amount, a.id AS account_id,
               CASE WHEN o.state = 'SETTLED' THEN o.settlement_due ELSE 0 END AS due
        FROM counter_syncorder AS o LEFT JOIN counter_account AS a ON a.customer_id = o.customer_id
    )
    SELECT COALESCE(o.id, l.order_id), o.kind, o.payout, o.state, o.fair, o.spread, o.amount, o.due,
           COALESCE(l.mains, 0), COALESCE(l.payouts, 0), COALESCE(l.spreads, 0),
           COALESCE(l.clearing, 0), COALESCE(l.spread, 0), count(*) OVER ()
    FROM orders AS o FULL JOIN legs AS l ON l.order_id = o.id
    WHERE CASE
        WHEN o.kind = 'OPEN' THEN
            l.mains = 1 AND l.main_kind = 'open' AND l.payouts = 0 AND l.spreads = (o.spread > 0)::int
            AND l.clearing = o.fair AND l.spread = o.spread AND o.amount = o.fair + o.spread
            AND l.first_debited = o.account_id AND l.last_debited = o.account_id AND l.last_credited IS NULL
        WHEN o.payout = 'at_fill' THEN
            COALESCE(l.legs, 0) = (o.due > 0)::int AND COALESCE(l.payouts, 0) = (o.due > 0)::int
            AND COALESCE(l.clearing, 0) = -o.due AND o.amount = o.due AND l.last_debited IS NULL
            AND (o.due = 0 OR l.last_credited = o.account_id)
        ELSE
            l.mains = 1 AND l.main_kind = lower(o.kind) AND l.payouts = 0 AND l.spreads = (o.spread > 0)::int
            AND l.clearing = -o.fair AND l.spread = o.spread AND o.amount = o.fair - o.spread
            AND l.first_credited = o.account_id AND l.last_credited = o.account_id AND l.last_debited IS NULL
    END IS NOT TRUE
    ORDER BY 1 LIMIT 50
"""
FIGURES = (
    *("state", "fair", "spread", "amount", "due", "main legs", "payouts", "spreads"),
    *("moved to clearing", "moved to spread"),
)


def legs_of_orders(reading: Reading, result: Result) -> None:
    """9: a payout at fill is deposited once, when settled and not before; opens and closes move exactly their price."""
    result.checked = reading.counter.row(ORDERS)[0]
    result.broken.extend_from(reading.counter.rows(LEGS), _wrong_legs)


def _wrong_legs(order_id: int, kind: str | None, payout: str | None, *figures: object) -> Finding:
    if kind is None:
        what = "money moved for an order that is not here"
    elif payout == "at_fill":
        what = "payout at fill is not deposited exactly once"
    else:
        what = f"legs of the {kind.lower()} are not its price"
    detail = ", ".join(f"{name} {figure}" for name, figure in zip(FIGURES, figures, strict=True))
    return Finding(what, where_order(order_id), detail)
