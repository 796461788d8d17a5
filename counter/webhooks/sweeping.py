"""What ends without a receiver: giving up what is too old or has no endpoint any more, and forgetting what is over."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from counter.webhooks.waiting import WAITING
from infra.db.ids_by_time import begin_id

CHUNK = 5000

# What has no endpoint any more is too old at once.
GIVE_UP = f"""
    UPDATE counter_webhookdelivery SET due_at = NULL, gave_up_at = %s WHERE id = ANY(ARRAY(
        {WAITING}
        SELECT d.id FROM waiting AS w JOIN counter_webhookendpoint AS e ON e.id = w.endpoint_id
        CROSS JOIN LATERAL (
            SELECT id FROM counter_webhookdelivery
            WHERE endpoint_id = e.id AND due_at IS NOT NULL AND (e.deleted_at IS NOT NULL OR retry_until < %s)
            ORDER BY retry_until LIMIT %s FOR UPDATE SKIP LOCKED
        ) AS d LIMIT %s))
"""  # noqa: S608 - our own
FORGET = """
    WITH old AS (
        SELECT id FROM counter_webhookdelivery WHERE id < %s AND due_at IS NULL AND happened_at < %s
        ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    ), tries AS (DELETE FROM counter_webhookattempt WHERE delivery_id = ANY(ARRAY(SELECT id FROM old)))
    DELETE FROM counter_webhookdelivery WHERE id = ANY(ARRAY(SELECT id FROM old))
"""


def sweep(*, now: datetime) -> tuple[int, int]:
    """Give up what is too old, forget what has been over for `WEBHOOK_KEEP_DAYS`, some of it; how many of each."""
    kept_since = now - timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    first_kept = begin_id("counter_webhookdelivery", "happened_at", kept_since)
    with connection.cursor() as cursor:
        cursor.execute(GIVE_UP, [now, now, CHUNK, CHUNK])
        given_up = cursor.rowcount
        cursor.execute(FORGET, [first_kept, kept_since, CHUNK])
        return given_up, cursor.rowcount
