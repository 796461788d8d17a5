"""Sending again what was delivered or given up: the same message, under the same id."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from counter.models import WebhookDelivery

MOST = 1000


class TooManyChosen(Exception):
    """More than MOST at a time."""


def send_again(deliveries: QuerySet[WebhookDelivery], *, now: datetime) -> list[WebhookDelivery]:
    """Have deliveries be due now and tried as new ones are; which they are: those that do not wait, and whose endpoint
    is still there.

    Raises: TooManyChosen.
    """
    chosen = list(deliveries.values_list("pk", flat=True)[: MOST + 1])
    if len(chosen) > MOST:
        raise TooManyChosen(f"at most {MOST:,} are sent again at a time")
    over = WebhookDelivery.objects.filter(
        pk__in=chosen, due_at__isnull=True, endpoint__deleted_at__isnull=True
    )
    with transaction.atomic():
        rows = list(over.select_for_update(of=("self",)).order_by("pk"))
        WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows]).update(
            due_at=now,
            retry_until=now + timedelta(days=settings.WEBHOOK_RETRY_DAYS),
            attempts=0,
            delivered_at=None,
            gave_up_at=None,
        )
    return rows
