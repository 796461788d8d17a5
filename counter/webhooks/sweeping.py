"""What ends without a receiver: giving up what is too old or has no endpoint any more, and forgetting what is over."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from counter.webhooks.waiting import WAITING
from infra.db.ids_by_time import begin_id

CHUNK = 5000
# For each of the two: how fast chunks go decides how much that is.
SWEEP_SECONDS = 5.0

# What has no endpoint any more is too old at once; what waits for one that is paused never is. The bound is one of the
# index: what waits and is not too old is not walked.
GIVE_UP = f"""
    UPDATE counter_webhookdelivery SET due_at = NULL, gave_up_at = %s WHERE id = ANY(ARRAY(
        {WAITING}
        SELECT d.id FROM waiting AS w JOIN counter_webhookendpoint AS e ON e.id = w.endpoint_id
        CROSS JOIN LATERAL (
            SELECT id FROM counter_webhookdelivery
            WHERE endpoint_id = e.id AND due_at IS NOT NULL AND retry_until
                < CASE WHEN e.deleted_at IS NULL THEN %s::timestamptz ELSE 'infinity'::timestamptz END
            ORDER BY retry_until LIMIT %s FOR UPDATE SKIP LOCKED
        ) AS d WHERE e.deleted_at IS NOT NULL OR e.paused_at IS NULL LIMIT %s))
"""  # noqa: S608 - our own
FORGET = """
    WITH old AS (
        SELECT id FROM counter_webhookdelivery WHERE id < %s AND due_at IS NULL AND happened_at < %s
        ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    ), tries AS (DELETE FROM counter_webhookattempt WHERE delivery_id = ANY(ARRAY(SELECT id FROM old)))
    DELETE FROM counter_webhookdelivery WHERE id = ANY(ARRAY(SELECT id FROM old))
"""


def sweep(*, now: datetime, for_seconds: float = SWEEP_SECONDS) -> tuple[int, int]:
    """Give up what is too old, forget what has been over for `WEBHOOK_KEEP_DAYS`; how many of each.

    Each until nothing is left, or for so long: one chunk at least.
    """
    kept_since = now - timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    first_kept = begin_id("counter_webhookdelivery", "happened_at", kept_since)
    given_up = _in_chunks(GIVE_UP, [now, now, CHUNK, CHUNK], for_seconds)
    return given_up, _in_chunks(FORGET, [first_kept, kept_since, CHUNK], for_seconds)


def _in_chunks(sql: str, parameters: Sequence[Any], for_seconds: float) -> int:
    """Run a statement again as long as it finds a whole chunk and time is left; how many rows in all."""
    ends_at = time.monotonic() + for_seconds
    count = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(sql, parameters)
            count += cursor.rowcount
            if cursor.rowcount < CHUNK or time.monotonic() >= ends_at:
                return count
