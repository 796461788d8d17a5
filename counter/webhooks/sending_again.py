"""Sending again what was delivered or given up: the same message, under the same id."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from counter.models import WebhookDelivery


def send_again(deliveries: QuerySet[WebhookDelivery], *, now: datetime) -> int:
    """Have deliveries be due now, tried as long as new ones; how many there are whose endpoint still is."""
    there = deliveries.filter(endpoint__deleted_at__isnull=True).values_list("pk", flat=True)
    return WebhookDelivery.objects.filter(pk__in=list(there)).update(
        due_at=now,
        retry_until=now + timedelta(days=settings.WEBHOOK_RETRY_DAYS),
        delivered_at=None,
        gave_up_at=None,
    )
