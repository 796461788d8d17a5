"""Invariant 7: every history is a legal path of the declared graph, and every state fits what its row says.

Conversions and transfers have a log of each step, orders a timestamp for each state besides theirs
(`audit.order_steps`), positions what is left of them.
Each is a statement about one database, true in every snapshot of it. Times of different processes may be off by
AUDIT_CLOCK_TOLERANCE_SECONDS: an operation's time is taken before the rows it finds are read.
"""

from datetime import timedelta

from audit import graphs
from audit.expiry import legal_ends
from audit.findings import Finding, Result
from audit.reading import Reading, where_order
from infra.db.snapshots import Snapshot
from settlement.models import ClearingPayment, Conversion, FundsTransfer, Intervention, ReconciliationBreak
from settlement.models.history import Subject
from settlement.venues.state_history import Traced

PATHS = """
    WITH edges AS (
        SELECT * FROM unnest(%(sources)s::text[], %(targets)s::text[]) AS e (from_state, to_state)
    ), steps AS (
        SELECT subject_id, from_state, to_state,
               lag(to_state) OVER path AS previous, lead(id) OVER path IS NULL AS is_last
        FROM settlement_statechange WHERE subject = %(subject)s
        WINDOW path AS (PARTITION BY subject_id ORDER BY id)
    )
    SELECT COALESCE(s.subject_id, r.id), s.previous, s.from_state, s.to_state, r.state, count(*) OVER ()
    FROM {table} AS r FULL JOIN steps AS s ON s.subject_id = r.id
    LEFT JOIN edges AS e ON e.from_state = s.from_state AND e.to_state = s.to_state
    WHERE (
        r.id IS NOT NULL AND (NOT s.is_last OR s.to_state = r.state) AND CASE
            WHEN s.previous IS NULL THEN s.from_state = '' AND s.to_state = %(initial)s
            ELSE s.from_state = s.previous AND e.from_state IS NOT NULL
        END
    ) IS NOT TRUE
    ORDER BY 1 LIMIT 50
"""
SYNC_ORDERS = """
    SELECT id, state, placed_at, synced_at, settled_at, conversion_id, count(*) OVER () FROM counter_syncorder
    WHERE (CASE state
        WHEN 'PENDING' THEN synced_at IS NULL AND settled_at IS NULL AND conversion_id IS NULL
        WHEN 'SYNCED' THEN synced_at >= placed_at - %(tolerance)s AND settled_at IS NULL AND conversion_id IS NULL
        WHEN 'SETTLED' THEN
            synced_at >= placed_at - %(tolerance)s AND settled_at >= placed_at - %(tolerance)s
            AND conversion_id IS NOT NULL AND settlement_price > 0 AND settlement_value >= 0
            AND settlement_fee IS NOT NULL AND settlement_due >= 0
    END) IS NOT TRUE
    ORDER BY id LIMIT 50
"""
ACCEPTED_ORDERS = """
    SELECT order_id, state, converting_at, settled_at, reported_at, conversion_id, count(*) OVER ()
    FROM acceptance_acceptedorder
    WHERE (CASE state
        WHEN 'RECEIVED' THEN
            conversion_id IS NULL AND converting_at IS NULL AND settled_at IS NULL AND reported_at IS NULL
        WHEN 'DISOWNED' THEN
            (conversion_id IS NULL AND converting_at IS NULL AND settled_at IS NULL AND reported_at IS NULL)
            OR (conversion_id IS NOT NULL AND settled_at >= converting_at - %(tolerance)s)
        WHEN 'CONVERTING' THEN
            conversion_id IS NOT NULL AND converting_at >= received_at - %(tolerance)s
            AND settled_at IS NULL AND reported_at IS NULL
        ELSE
            state IN ('SETTLED', 'REPORTED') AND conversion_id IS NOT NULL
            AND converting_at >= received_at - %(tolerance)s AND settled_at >= converting_at - %(tolerance)s
            AND CASE state WHEN 'SETTLED' THEN reported_at IS NULL
                           ELSE reported_at >= settled_at - %(tolerance)s END
    END) IS NOT TRUE
    ORDER BY id LIMIT 50
"""
# Closes and at most one exercise end a position; what expires out of the money is no order's doing.
POSITIONS = """
    WITH closes AS (
        SELECT position_id, sum(contracts) AS contracts, sum(amount) AS proceeds,
               count(*) FILTER (WHERE payout = 'at_fill' AND state <> 'SETTLED') AS unpaid,
               count(*) FILTER (WHERE kind = 'EXERCISE') AS exercises
        FROM counter_syncorder WHERE kind <> 'OPEN' GROUP BY 1
    ), opens AS (
        SELECT id, customer_id, option_id, contracts, amount FROM counter_syncorder WHERE kind = 'OPEN'
    )
    SELECT COALESCE(p.id, o.id), p.state, p.contracts, p.remaining, p.unpaid, o.contracts,
           COALESCE(c.contracts, 0), COALESCE(c.unpaid, 0), count(*) OVER ()
    FROM counter_position AS p FULL JOIN opens AS o ON o.id = p.id LEFT JOIN closes AS c ON c.position_id = p.id
    WHERE (
        (p.customer_id, p.option_id, p.contracts, p.cost) = (o.customer_id, o.option_id, o.contracts, o.amount)
        AND p.unpaid = COALESCE(c.unpaid, 0)
        AND CASE p.state
            WHEN 'OPEN' THEN p.remaining > 0 AND p.closed_at IS NULL
            WHEN 'CLOSING' THEN p.remaining = 0 AND p.unpaid > 0
            WHEN 'CLOSED' THEN p.remaining = 0 AND p.unpaid = 0 AND p.closed_at IS NOT NULL
            WHEN 'EXERCISED' THEN p.remaining = 0 AND p.closed_at IS NOT NULL
            WHEN 'EXPIRED' THEN
                p.remaining = 0 AND p.closed_at IS NOT NULL AND p.contracts > COALESCE(c.contracts, 0)
        END
        AND p.proceeds = COALESCE(c.proceeds, 0)
        AND COALESCE(c.exercises, 0) = (p.state = 'EXERCISED')::int
        AND (p.state = 'EXPIRED' OR p.remaining = p.contracts - COALESCE(c.contracts, 0))
    ) IS NOT TRUE
    ORDER BY 1 LIMIT 50
"""


def legal_histories(reading: Reading, result: Result) -> None:
    """7: logs are paths of the graph from creation to the row's state; orders and positions fit their states."""
    for model, subject in (
        (Conversion, Subject.CONVERSION),
        (FundsTransfer, Subject.FUNDS_TRANSFER),
        (Intervention, Subject.INTERVENTION),
        (ReconciliationBreak, Subject.BREAK),
        (ClearingPayment, Subject.CLEARING_PAYMENT),
    ):
        _paths(reading.desk, model, subject, result)
    tolerance = reading.tolerance
    _order_states(reading.counter, "counter", "counter_syncorder", SYNC_ORDERS, tolerance, result)
    _order_states(reading.desk, "desk", "acceptance_acceptedorder", ACCEPTED_ORDERS, tolerance, result)
    _positions(reading.counter, result)
    legal_ends(reading.counter, result)


def _paths(desk: Snapshot, model: type[Traced], subject: Subject, result: Result) -> None:
    def illegal(subject_id: int, previous: str, source: str, target: str, state: str) -> Finding:
        step = (
            f"step from {source or 'nothing'} to {target} after {previous or 'nothing'}"
            if target
            else "no steps"
        )
        detail = f"{step}; the row is {state or 'not there'}"
        return Finding("history is no legal path", f"{str(subject).replace('_', ' ')} {subject_id}", detail)

    edges = graphs.edges(model)
    parameters = {
        "subject": str(subject),
        "initial": graphs.initial(model),
        "sources": [source for source, _ in edges],
        "targets": [target for _, target in edges],
    }
    table = model._meta.db_table
    result.checked += desk.row(f"SELECT count(*) FROM {table}")[0]  # noqa: S608 - a model's table
    result.broken.extend_from(desk.rows(PATHS.format(table=table), parameters), illegal)


def _order_states(
    side: Snapshot, name: str, table: str, sql: str, tolerance: timedelta, result: Result
) -> None:
    def misfit(order_id: int, state: str, *values: object) -> Finding:
        what = f"order's times do not fit its state at the {name}"
        return Finding(what, where_order(order_id), ", ".join([state, *map(str, values)]))

    result.checked += side.row(f"SELECT count(*) FROM {table}")[0]  # noqa: S608 - a table of ours
    result.broken.extend_from(side.rows(sql, {"tolerance": tolerance}), misfit)


def _positions(counter: Snapshot, result: Result) -> None:
    result.checked += counter.row("SELECT count(*) FROM counter_position")[0]
    result.broken.extend_from(counter.rows(POSITIONS), _misfit_position)


def _misfit_position(
    position_id: int,
    state: str | None,
    contracts: int,
    remaining: int,
    unpaid: int,
    opened: int,
    closed: int,
    closes_unpaid: int,
) -> Finding:
    detail = (
        f"{state}, {remaining} of {contracts} left, {unpaid} unpaid; its orders opened {opened} and closed {closed}, "
        f"{closes_unpaid} of them wait for their payout"
    )
    return Finding("position does not fit its orders", f"position {position_id}", detail)
