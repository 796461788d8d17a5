"""Resuming endpoints that were paused: what was kept for them is tried as long as if it had happened now."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from counter.models import WebhookEndpoint

CHUNK = 5000
MOVE_ON = """
    UPDATE counter_webhookdelivery SET retry_until = %s WHERE id = ANY(ARRAY(
        SELECT id FROM counter_webhookdelivery WHERE endpoint_id = %s AND due_at IS NOT NULL AND retry_until < %s
        ORDER BY retry_until LIMIT %s FOR UPDATE))
"""


def resume(endpoint_ids: Collection[int], *, now: datetime) -> None:
    """Have endpoints be sent to at once: what waited for a paused one for `WEBHOOK_RETRY_DAYS` from now on.

    While it is paused nothing is given up (`sweeping`), so that is moved first, in chunks that each commit: of one that
    is interrupted the next goes on.
    """
    chosen = WebhookEndpoint.objects.filter(pk__in=endpoint_ids)
    until = now + timedelta(days=settings.WEBHOOK_RETRY_DAYS)
    with connection.cursor() as cursor:
        for endpoint_id in chosen.filter(paused_at__isnull=False).values_list("pk", flat=True):
            moved = CHUNK
            while moved == CHUNK:
                cursor.execute(MOVE_ON, [until, endpoint_id, until, CHUNK])
                moved = cursor.rowcount
    chosen.update(paused_at=None, open_at=None)
