"""Invariant 8: nothing unfinished is older than its limit without an owner and a due time.

A state either has a limit (AUDIT_AGE_LIMITS_SECONDS), or a due time that nobody may let pass by more than
AUDIT_OVERDUE_AFTER_SECONDS, or an owner: a person (MANUAL), or for an order being converted its conversion, which is
judged itself; so a synced order is the desk's. An order that a halted venue or coin, a resting coin or a waiting
conversion holds up has the due time of what it waits for, and names it. What began in the future has no age, and is
broken: a clock was wrong. All that is unfinished is listed, the oldest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings

from audit.findings import Finding, Result
from audit.reading import Reading
from infra.db.snapshots import Snapshot

JUDGED = """
    SELECT name, state, since, due_at, owner, note, is_broken,
           count(*) OVER (), count(*) FILTER (WHERE is_broken) OVER ()
    FROM (
        SELECT w.*, CASE
            WHEN w.owner <> '' THEN false
            WHEN w.due_at IS NOT NULL THEN w.due_at < %(now)s - %(overdue)s
            ELSE (w.since BETWEEN %(now)s - l.age AND %(now)s + %(tolerance)s) IS NOT TRUE
        END AS is_broken
        FROM ({waiting}) AS w
        LEFT JOIN unnest(%(states)s::text[], %(ages)s::interval[]) AS l (state, age) ON l.state = w.state
    ) AS judged
    ORDER BY is_broken DESC, since LIMIT 50
"""
SYNC_ORDERS = """
    SELECT 'order ' || id AS name, state, placed_at AS since, NULL::timestamptz AS due_at, '' AS owner, '' AS note
    FROM counter_syncorder WHERE state = 'PENDING'
"""
# An order waits while the venue is halted, until the halt that it waited for was lifted at the latest, and while a
# conversion of its coin waits to be sent again: what holds it up says when it is due.
ACCEPTED_ORDERS = """
    SELECT o.source || '/' || o.order_id AS name, o.state, o.received_at AS since,
           GREATEST(h.due_at, c.due_at, r.due_at) AS due_at, '' AS owner,
           concat_ws('; ', h.note, c.note, 'rests: ' || r.why) AS note
    FROM acceptance_acceptedorder AS o
    LEFT JOIN (
        SELECT DISTINCT ON (w.underlying) w.underlying, COALESCE(v.lifted_at, v.ask_at) AS due_at, v.lifted_at,
               'venue halted: ' || v.reason AS note
        FROM (SELECT DISTINCT underlying FROM acceptance_acceptedorder WHERE state = 'RECEIVED') AS w
        JOIN settlement_venuehalt AS v ON v.venue = %(venue)s AND v.underlying IN ('', w.underlying)
        ORDER BY w.underlying, v.lifted_at DESC NULLS FIRST
    ) AS h ON h.underlying = o.underlying AND (h.lifted_at IS NULL OR h.lifted_at > o.received_at)
    LEFT JOIN (
        SELECT DISTINCT ON (underlying) underlying, due_at, 'waits behind conversion ' || id AS note
        FROM settlement_conversion WHERE state = 'RETRY_WAIT' ORDER BY underlying, due_at DESC
    ) AS c ON c.underlying = o.underlying
    LEFT JOIN settlement_coinrest AS r ON r.underlying = o.underlying AND r.due_at > o.received_at
    WHERE o.state = 'RECEIVED'
    UNION ALL
    SELECT source || '/' || order_id, state, settled_at, NULL, '', ''
    FROM acceptance_acceptedorder WHERE state = 'SETTLED'
    UNION ALL
    SELECT o.source || '/' || o.order_id, o.state, o.converting_at, NULL, 'conversion ' || c.id, ''
    FROM settlement_conversion AS c JOIN acceptance_acceptedorder AS o ON o.conversion_id = c.id
    WHERE c.state NOT IN ('BOOKED', 'MISSED', 'RELEASED') AND o.state = 'CONVERTING'
"""
CONVERSIONS = """
    SELECT 'conversion ' || id AS name, state, COALESCE(filled_at, submitted_at, planned_at) AS since,
           CASE WHEN state IN ('UNKNOWN', 'RETRY_WAIT') THEN due_at END AS due_at,
           CASE WHEN state = 'MANUAL' THEN 'a person' ELSE '' END AS owner, reason AS note
    FROM settlement_conversion WHERE state NOT IN ('BOOKED', 'MISSED', 'RELEASED')
"""
FUNDS_TRANSFERS = """
    SELECT 'funds transfer ' || id AS name, state, COALESCE(submitted_at, planned_at) AS since,
           CASE WHEN state = 'UNKNOWN' THEN due_at END AS due_at,
           CASE WHEN state = 'MANUAL' THEN 'a person' ELSE '' END AS owner, reason AS note
    FROM settlement_fundstransfer WHERE state NOT IN ('CONFIRMED', 'RELEASED', 'WRITTEN_OFF')
"""
OPTIONS = """
    SELECT 'option ' || symbol AS name, state, expires_at AS since, NULL::timestamptz AS due_at, '' AS owner, '' AS note
    FROM counter_option WHERE state IN ('LISTED', 'HALTED') AND expires_at <= %(now)s
"""
# Its open positions are what an expiry has to do; what it waits for besides is a person's, or its orders', each judged.
EXPIRIES = """
    SELECT 'expiry ' || e.underlying || ' ' || e.expires_at AS name, e.state,
           COALESCE(e.indexed_at, e.taken_at) AS since, NULL::timestamptz AS due_at,
           CASE WHEN NOT p.are_open THEN 'its orders'
                WHEN e.state = 'WAITING' AND e.why <> '' THEN 'a person who enters the index'
                WHEN EXISTS (SELECT FROM counter_tradingswitch AS s
                             WHERE s.state = 'ALL_STOPPED' AND s.underlying IN (e.underlying, '*'))
                    THEN 'the person who stopped the coin'
                ELSE '' END AS owner,
           e.why AS note
    FROM counter_expiry AS e CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM counter_option AS o JOIN counter_position AS p ON p.option_id = o.id AND p.state = 'OPEN'
            WHERE o.underlying = e.underlying AND o.expires_at = e.expires_at) AS are_open
    ) AS p
    WHERE e.state <> 'SETTLED'
"""
INTERVENTIONS = """
    SELECT 'intervention ' || id AS name, state, requested_at AS since, NULL::timestamptz AS due_at,
           'an approver' AS owner, kind || ' ' || subject || ' ' || subject_id AS note
    FROM settlement_intervention WHERE state = 'REQUESTED'
"""
CLEARING_PAYMENTS = """
    SELECT 'clearing payment ' || id AS name, state, COALESCE(decided_at, requested_at) AS since,
           NULL::timestamptz AS due_at, CASE state WHEN 'REQUESTED' THEN 'an approver' ELSE '' END AS owner,
           concat_ws('; ', reference, NULLIF(answer, '')) AS note
    FROM settlement_clearingpayment WHERE state IN ('REQUESTED', 'APPROVED')
"""
LATE_FEES = """
    SELECT 'fee of conversion ' || conversion_id || ' in ' || asset AS name, 'UNVALUED' AS state, taken_at AS since,
           NULL::timestamptz AS due_at, '' AS owner,
           'valued as soon as ' || asset || ' has a price, or on its page' AS note
    FROM settlement_latefee WHERE valued_at IS NULL
"""
WITHDRAWALS = """
    SELECT 'withdrawal ' || reference AS name, state, reserved_at AS since, NULL::timestamptz AS due_at,
           '' AS owner, 'the wallet service confirms or releases it' AS note
    FROM counter_withdrawal WHERE state = 'RESERVED'
"""


@dataclass(frozen=True, slots=True)
class UnfinishedKind:
    """One kind of thing that can be unfinished, and where its rows are."""

    name: str
    alias: str
    waiting: str


KINDS = (
    UnfinishedKind("sync_order", "default", SYNC_ORDERS),
    UnfinishedKind("option", "default", OPTIONS),
    UnfinishedKind("expiry", "default", EXPIRIES),
    UnfinishedKind("withdrawal", "default", WITHDRAWALS),
    UnfinishedKind("accepted_order", "desk", ACCEPTED_ORDERS),
    UnfinishedKind("conversion", "desk", CONVERSIONS),
    UnfinishedKind("funds_transfer", "desk", FUNDS_TRANSFERS),
    UnfinishedKind("intervention", "desk", INTERVENTIONS),
    UnfinishedKind("clearing_payment", "desk", CLEARING_PAYMENTS),
    UnfinishedKind("late_fee", "desk", LATE_FEES),
)


def nothing_forgotten(reading: Reading, result: Result) -> None:
    """8: what is unfinished is young, or somebody's; what is neither is broken."""
    for kind in KINDS:
        side = reading.counter if kind.alias == "default" else reading.desk
        _judge(kind, side, reading, result)


def _judge(kind: UnfinishedKind, side: Snapshot, reading: Reading, result: Result) -> None:
    limits = settings.AUDIT_AGE_LIMITS_SECONDS[kind.name]
    parameters = {
        "now": reading.now,
        "tolerance": reading.tolerance,
        "overdue": timedelta(seconds=settings.AUDIT_OVERDUE_AFTER_SECONDS),
        "states": [str(state) for state in limits],
        "venue": settings.VENUE,
        "ages": [timedelta(seconds=seconds) for seconds in limits.values()],
    }
    rows = side.rows(JUDGED.format(waiting=kind.waiting), parameters)
    if not rows:
        return
    total, broken = rows[0][-2:]
    result.checked += total
    result.broken.extend(
        (_finding("nobody takes care of it", row, reading) for row in rows if row[6]), total=broken
    )
    result.in_flight.extend(
        (_finding("unfinished", row, reading) for row in rows if not row[6]), total=total - broken
    )


def _finding(what: str, row: Sequence[Any], reading: Reading) -> Finding:
    name, state, since, due_at, owner, note = row[:6]
    due = f"due {due_at.isoformat()}" if due_at else ""
    detail = ", ".join(part for part in (state, owner and f"owned by {owner}", due, note) if part)
    return Finding(what, name, detail, reading.age_s(since))
