"""Invariant 9: what an order moved of its customer's money is what it had to move, each leg exactly once.

A statement about counter alone, true in every snapshot of it: an order's legs are written in the transaction that
accepts it, and the payout of a close at fill in the transaction that settles it. The legs that orders should have and
those that there are are compared by checksums of buckets; only where these differ are they added up, order by order.
"""

from audit.findings import Finding, Result
from audit.reading import Reading, where_order

BUCKET_BITS = 13  # 8,192 orders; shifting rounds down, so that every bucket is a range of ids


def _leg(order_id: str, debit: str, credit: str, amount: str, kind: str) -> str:
    """The hash of one leg, without a number written out as text."""
    seed = f"hash_numeric_extended({amount}, hashtextextended({kind}, 0))"
    return f"hashint8extended({order_id}, hashint8extended({debit}, hashint8extended({credit}, {seed})))"


# A main leg and that of the spread, by what was ordered. An order that contradicts itself spoils its bucket's count.
SHOULD = f"""
    SELECT id >> {BUCKET_BITS}, count(main) + count(spread_leg) + count(*) FILTER (WHERE NOT adds_up),
           COALESCE(sum(main), 0) + COALESCE(sum(spread_leg), 0), count(*)
    FROM (
        SELECT o.id, CASE
                WHEN o.kind = 'OPEN' THEN {_leg("o.id", "a.id", "1", "o.fair", "'open'")}
                WHEN o.payout <> 'at_fill' THEN {_leg("o.id", "1", "a.id", "o.amount", "lower(o.kind)")}
                WHEN o.amount > 0 THEN {_leg("o.id", "1", "a.id", "o.amount", "'payout'")}
            END AS main,
            CASE
                WHEN o.spread = 0 OR o.kind <> 'OPEN' AND o.payout = 'at_fill' THEN NULL
                WHEN o.kind = 'OPEN' THEN {_leg("o.id", "a.id", "2", "o.spread", "'spread'")}
                ELSE {_leg("o.id", "1", "2", "o.spread", "'spread'")}
            END AS spread_leg,
            CASE
                WHEN o.kind = 'OPEN' THEN o.amount = o.fair + o.spread
                WHEN o.payout <> 'at_fill' THEN o.amount = o.fair - o.spread
                ELSE o.amount = CASE WHEN o.state = 'SETTLED' THEN o.settlement_due ELSE 0 END
            END IS TRUE AS adds_up
        FROM counter_syncorder AS o LEFT JOIN counter_account AS a ON a.customer_id = o.customer_id
    ) AS orders GROUP BY 1
"""  # noqa: S608 - composed of constants of our own
MOVED = f"""
    SELECT order_id >> {BUCKET_BITS}, count(*),
           sum({_leg("order_id", "debit_account_id", "credit_account_id", "amount", "kind")})
    FROM counter_transfer WHERE order_id IS NOT NULL GROUP BY 1
"""  # noqa: S608
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
        FROM counter_transfer WHERE order_id >= %(first)s AND order_id < %(end)s GROUP BY 1
    ), orders AS (
        SELECT o.id, o.kind, o.payout, o.state, o.fair, o.spread, o.amount, a.id AS account_id,
               CASE WHEN o.state = 'SETTLED' THEN o.settlement_due ELSE 0 END AS due
        FROM counter_syncorder AS o LEFT JOIN counter_account AS a ON a.customer_id = o.customer_id
        WHERE o.id >= %(first)s AND o.id < %(end)s
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
    should = {bucket: sums for bucket, *sums in reading.counter.rows(SHOULD)}
    moved = {bucket: sums for bucket, *sums in reading.counter.rows(MOVED)}
    result.checked = sum(orders for *_, orders in should.values())
    for bucket in sorted(should.keys() | moved.keys()):
        if should.get(bucket, [0, 0])[:2] != moved.get(bucket, [0, 0]):
            bounds = {"first": bucket << BUCKET_BITS, "end": (bucket + 1) << BUCKET_BITS}
            result.broken.extend_from(reading.counter.rows(LEGS, bounds), _wrong_legs)


def _wrong_legs(order_id: int, kind: str | None, payout: str | None, *figures: object) -> Finding:
    if kind is None:
        what = "money moved for an order that is not here"
    elif payout == "at_fill":
        what = "payout at fill is not deposited exactly once"
    else:
        what = f"legs of the {kind.lower()} are not its price"
    detail = ", ".join(f"{name} {figure}" for name, figure in zip(FIGURES, figures, strict=True))
    return Finding(what, where_order(order_id), detail)
