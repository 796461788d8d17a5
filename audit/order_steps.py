"""Invariant 7, of accepted orders: the log of an order is a path of the graph, without a gap, that ends at its state.

Every step but the first begins where the one before it ended, and the last one ends where its order is: so the ends of
all steps are their beginnings and the orders' states, as sets. Those are compared by checksums of buckets of orders, in
one scan of each table; only buckets that differ are opened. Orders that were there before their steps were logged begin
anywhere, and may have none.
"""

from typing import Any

from acceptance.models import AcceptedOrder
from audit import graphs
from audit.findings import Finding, Result
from audit.orders import BUCKET_ORDERS, BUCKETS_OPENED
from audit.reading import Reading

BEGIN = "(SELECT max(after_id) FROM acceptance_orderstepsbegin)"


def _hash(order_id: str, number: str, state: str) -> str:
    return f"hashtextextended({state}, hashint8extended({order_id}, {number}))::numeric"


EDGES = """
    edges AS (SELECT * FROM unnest(%(sources)s::text[], %(targets)s::text[]) AS e (from_state, to_state))
"""
SUMS = f"""
    WITH {EDGES}, ends AS (
        SELECT s.order_id / {BUCKET_ORDERS} AS bucket,
               {_hash("s.order_id", "s.number", "s.to_state")}
               - CASE WHEN s.from_state = '' OR (s.number = 1 AND s.order_id <= {BEGIN}) THEN 0
                      ELSE {_hash("s.order_id", "s.number - 1", "s.from_state")} END AS sum,
               CASE WHEN s.order_id <= {BEGIN} THEN s.number = 1 ELSE s.from_state = '' END::int AS firsts,
               (CASE WHEN s.from_state = '' THEN s.to_state = %(initial)s AND s.order_id > {BEGIN}
                     ELSE e.from_state IS NOT NULL END IS NOT TRUE)::int AS illegal,
               1 AS steps, s.unlogged::int AS unlogged, 0 AS before
        FROM acceptance_orderstep AS s
        LEFT JOIN edges AS e ON e.from_state = s.from_state AND e.to_state = s.to_state
        UNION ALL
        SELECT id / {BUCKET_ORDERS},
               CASE WHEN version = 0 AND id <= {BEGIN} THEN 0 ELSE -{_hash("id", "version", "state")} END,
               CASE WHEN version = 0 AND id <= {BEGIN} THEN 0 ELSE -1 END,
               0, 0, 0, (id <= {BEGIN})::int
        FROM acceptance_acceptedorder
    )
    SELECT bucket, sum(sum) <> 0 OR sum(firsts) <> 0 OR sum(illegal) <> 0, sum(steps), sum(unlogged), sum(before)
    FROM ends GROUP BY 1
"""  # noqa: S608 - templates of our own
PATHS = f"""
    WITH {EDGES}, steps AS (
        SELECT order_id, number, from_state, to_state, lag(number) OVER path AS before,
               lag(to_state) OVER path AS previous, lead(number) OVER path IS NULL AS is_last
        FROM acceptance_orderstep WHERE order_id >= %(first)s AND order_id < %(end)s
        WINDOW path AS (PARTITION BY order_id ORDER BY number)
    ), orders AS (
        SELECT id, state, version FROM acceptance_acceptedorder WHERE id >= %(first)s AND id < %(end)s
    )
    SELECT COALESCE(s.order_id, r.id), s.previous, s.from_state, s.to_state, r.state, count(*) OVER ()
    FROM orders AS r FULL JOIN steps AS s ON s.order_id = r.id
    LEFT JOIN edges AS e ON e.from_state = s.from_state AND e.to_state = s.to_state
    WHERE (
        (s.order_id IS NULL AND r.version = 0 AND r.id <= {BEGIN})
        OR (r.id IS NOT NULL AND (NOT s.is_last OR (s.to_state = r.state AND s.number = r.version)) AND CASE
            WHEN s.before IS NOT NULL THEN
                s.number = s.before + 1 AND s.from_state = s.previous AND e.from_state IS NOT NULL
            WHEN s.order_id <= {BEGIN} THEN s.number = 1 AND e.from_state IS NOT NULL
            ELSE s.from_state = '' AND s.to_state = %(initial)s
        END)
    ) IS NOT TRUE
    ORDER BY 1 LIMIT 50
"""  # noqa: S608


def order_steps(reading: Reading, result: Result) -> None:
    """7: the steps of every accepted order lead from its intake to its state; says what was not logged by its mover."""
    edges = graphs.edges(AcceptedOrder)
    parameters: dict[str, Any] = {
        "initial": graphs.initial(AcceptedOrder),
        "sources": [source for source, _ in edges],
        "targets": [target for _, target in edges],
    }
    sums = reading.desk.rows(SUMS, parameters)
    result.checked += sum(row[2] for row in sums)
    differing = sorted((bucket for bucket, differs, *_ in sums if differs), reverse=True)
    for bucket in differing[:BUCKETS_OPENED]:
        span = {"first": bucket * BUCKET_ORDERS, "end": (bucket + 1) * BUCKET_ORDERS}
        result.broken.extend_from(reading.desk.rows(PATHS, parameters | span), _illegal)
    for bucket in differing[BUCKETS_OPENED:]:
        where = f"accepted orders {bucket * BUCKET_ORDERS} to {(bucket + 1) * BUCKET_ORDERS - 1}"
        detail = "checksums differ; too many do for their rows to be read"
        result.broken.add(Finding("history is no legal path", where, detail))
    if unlogged := sum(row[3] for row in sums):
        result.notes.append(
            f"{unlogged:,} steps of orders were logged by the database, not by what moved them"
        )
    if before := sum(row[4] for row in sums):
        result.notes.append(f"{before:,} accepted orders are older than the log of their steps")


def _illegal(order_id: int, previous: str, source: str, target: str, state: str) -> Finding:
    step = (
        f"step from {source or 'nothing'} to {target} after {previous or 'nothing'}" if target else "no steps"
    )
    detail = f"{step}; the row is {state or 'not there'}"
    return Finding("history is no legal path", f"accepted order {order_id}", detail)
