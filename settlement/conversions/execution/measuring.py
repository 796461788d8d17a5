"""Entering booked conversions beside their benchmarks, each once and by primary key, after they were settled.

Guards: nothing here runs while an order is settled. State changes get their ids before they are committed, and not in
that order; so they are read up to where an earlier run has seen them end, when what is below is decided: when every
transaction that ran then has ended, by PostgreSQL's own numbers.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db import connections, transaction

from infra.coordination.ages import lies_ahead
from infra.db.rows import rows_of
from settlement.models import ExecutionsRead

log = structlog.get_logger(__name__)

# Longer than one statement needs from its row's id to the number of its transaction, which comes later.
DECIDED_AFTER = timedelta(seconds=10)
CHANGES_AT_ONCE = 4_000  # of a statement: some thousand conversions with all their orders
STATEMENTS_AT_MOST = 20
# Both of one snapshot: the last state change in it, and the first transaction that had not begun.
HEAD = """
    SELECT COALESCE(max(id), 0), pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM settlement_statechange
"""
# The oldest transaction that still runs, and the first that has not begun.
RUNNING = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""
# The executed order is the last one sent: a conversion is sent again only when nothing of it was executed. What was
# booked by hand was executed at what people say, and is left out.
ENTER = """
    INSERT INTO settlement_execution
        (conversion_id, venue, underlying, side, coin, usdt, minute, order_price, sent_price, answer, due_at)
    SELECT c.id, coalesce(s.venue, ''), c.underlying, c.side, c.filled_coin, c.filled_usdt, f.minute, o.price, s.price,
           'AWAITED', f.minute
    FROM (
        SELECT DISTINCT subject_id FROM settlement_statechange
        WHERE id > %(after)s AND id <= %(to)s AND subject = 'conversion' AND to_state = 'BOOKED'
    ) AS booked
    JOIN settlement_conversion AS c ON c.id = booked.subject_id AND c.filled_coin > 0 AND c.filled_usdt > 0
    CROSS JOIN LATERAL (
        SELECT date_trunc('minute', min(traded_at)) AS minute FROM settlement_fill WHERE conversion_id = c.id
        HAVING bool_and(intervention_id IS NULL)
    ) AS f
    LEFT JOIN LATERAL (
        SELECT round(sum(index_price * coin) / sum(coin), 8) AS price FROM acceptance_acceptedorder
        WHERE conversion_id = c.id AND kind = CASE c.side WHEN 'buy' THEN 'OPEN' ELSE 'CLOSE' END AND coin > 0
    ) AS o ON true
    LEFT JOIN LATERAL (
        SELECT CASE WHEN a.request ? 'mid' THEN (a.request ->> 'mid')::numeric(20, 8)
                    WHEN count(*) OVER () = 1 THEN c.reference_price END AS price, a.venue
        FROM settlement_attempt AS a WHERE a.subject = 'conversion' AND a.subject_id = c.id AND a.call = 'submit'
        ORDER BY a.id DESC LIMIT 1
    ) AS s ON true
    WHERE f.minute IS NOT NULL AND c.side IN ('buy', 'sell')
    ON CONFLICT (conversion_id) DO NOTHING
"""


def enter_booked(*, clock: Callable[[], datetime]) -> int:
    """Enter what was booked; how many conversions that were. Much is left to the next run. Raises: DatabaseError."""
    entered = 0
    for _ in range(STATEMENTS_AT_MOST):
        some, goes_on = _enter_some(now=clock())
        entered += some
        if not goes_on:
            break
    if entered:
        log.info("executions entered", conversions=entered)
    return entered


def _enter_some(*, now: datetime) -> tuple[int, bool]:
    """One part in a transaction of its own; how many, and whether there is more that is decided."""
    ExecutionsRead.objects.get_or_create(pk=1)
    with transaction.atomic(using="desk"):
        read = ExecutionsRead.objects.select_for_update().get(pk=1)
        [(oldest, next_one)] = rows_of("desk", RUNNING)
        if read.seen_at is None or lies_ahead(read.seen_at, now=now) or next_one < read.seen_xid:
            # For the first time, or anew: a wrong clock, or another server, says nothing of what is decided.
            _look(read, now)
            return 0, False
        if now - read.seen_at < DECIDED_AFTER or oldest < read.seen_xid:
            return 0, False
        to = min(read.seen, read.counted + CHANGES_AT_ONCE)
        with connections["desk"].cursor() as cursor:
            cursor.execute(ENTER, {"after": read.counted, "to": to})
            entered = cursor.rowcount
        read.counted = to
        if read.counted < read.seen:
            read.save()
            return entered, True
        _look(read, now)
    return entered, False


def _look(read: ExecutionsRead, now: datetime) -> None:
    """Note where the state changes end at this moment."""
    [(read.seen, read.seen_xid)] = rows_of("desk", HEAD)
    read.seen_at = now
    read.save()
