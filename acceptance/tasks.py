"""Doors for Celery: the sweep that pulls what no message brought."""

from celery import shared_task
from django.utils import timezone

from acceptance import recovery
from acceptance.counter_client import CounterUnavailable


@shared_task(name="acceptance.pull_unsynced")
def pull_unsynced() -> int:
    """Take in what has been waiting too long; counter being away is no error, the next sweep comes soon."""
    try:
        return recovery.pull_unsynced(min_age_ms=recovery.OVERDUE_AFTER_MS, now=timezone.now())
    except CounterUnavailable:
        return 0
