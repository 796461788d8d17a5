"""The queue of webhooks: which endpoints have something due, and taking some of it, so that nobody else takes it too.

What is taken is due again after LEASE: a process that dies in between delays a message by that, and it is sent again
under the same id. Nothing here is locked beyond one statement.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection

from infra.db.arrays import array

SLOW_MS = 2000
# Longer than an attempt may take, with the look-up of a name before and the booking after it.
MORE_THAN_AN_ATTEMPT = timedelta(seconds=30)

# The endpoints for which something waits are found by stepping from one to the next in the index: what that costs goes
# with their number, not with how much waits, nor with how many endpoints there are.
WAITING = """
    WITH RECURSIVE waiting AS (
        (SELECT endpoint_id FROM counter_webhookdelivery WHERE due_at IS NOT NULL ORDER BY endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.endpoint_id FROM counter_webhookdelivery AS d
                WHERE d.due_at IS NOT NULL AND d.endpoint_id > w.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
        FROM waiting AS w WHERE w.endpoint_id IS NOT NULL
    )
"""
# A customer whose user is deactivated hears nothing; the exchange has no user. Asked for each endpoint, by two keys.
USABLE = """
    e.disabled = '' AND e.deleted_at IS NULL AND e.paused_at IS NULL AND COALESCE((
        SELECT u.is_active FROM counter_customer AS c JOIN auth_user AS u ON u.id = c.user_id
        WHERE c.id = e.customer_id), TRUE)
"""
READY = f"""
    {WAITING}
    SELECT e.id, e.failures > 0 OR e.last_ms > %s
    FROM waiting AS w JOIN counter_webhookendpoint AS e ON e.id = w.endpoint_id
    WHERE {USABLE} AND (e.open_at IS NULL OR e.open_at <= %s)
        AND %s >= (SELECT d.due_at FROM counter_webhookdelivery AS d
                   WHERE d.endpoint_id = e.id AND d.due_at IS NOT NULL ORDER BY d.due_at LIMIT 1)
    ORDER BY e.id
"""  # noqa: S608 - our own
# An array is worked out once, in any plan: the planner never takes it for most of the table.
TAKE = """
    UPDATE counter_webhookdelivery SET due_at = %(until)s, attempts = attempts + 1 WHERE id = ANY(ARRAY(
        SELECT d.id FROM unnest(%(endpoints)s::bigint[], %(most)s::int[]) AS w(endpoint_id, most)
        CROSS JOIN LATERAL (
            SELECT id FROM counter_webhookdelivery
            WHERE endpoint_id = w.endpoint_id AND due_at <= %(now)s
            ORDER BY due_at LIMIT w.most FOR UPDATE SKIP LOCKED
        ) AS d))
    RETURNING id
"""
# One that has failed is tried once: nobody else tries before it is known what became of that.
HOLD = """
    UPDATE counter_webhookendpoint SET open_at = %s WHERE id = ANY(%s::bigint[]) AND failures > 0
"""


class Ready(NamedTuple):
    """An endpoint that something is due for; `is_doubtful`: it failed last, or was slow."""

    endpoint_id: int
    is_doubtful: bool


def lease() -> timedelta:
    """How long what was taken is nobody else's."""
    return timedelta(seconds=settings.WEBHOOK_WITHIN_SECONDS) + MORE_THAN_AN_ATTEMPT


def ready(*, now: datetime) -> list[Ready]:
    """The endpoints that something is due for and that may be sent to."""
    with connection.cursor() as cursor:
        cursor.execute(READY, [SLOW_MS, now, now])
        return [Ready(*row) for row in cursor.fetchall()]


def take(most: Mapping[int, int], *, now: datetime) -> list[int]:
    """Take up to so many due deliveries of each endpoint, the longest due first; their ids."""
    if not most:
        return []
    until = now + lease()
    with connection.cursor() as cursor:
        wanted = {"endpoints": array(list(most)), "most": array(list(most.values()))}
        cursor.execute(TAKE, {**wanted, "now": now, "until": until})
        taken = [row[0] for row in cursor.fetchall()]
        cursor.execute(HOLD, [until, array(list(most))])
    return taken
