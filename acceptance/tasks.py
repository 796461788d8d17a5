"""Doors for Celery: the sweep that pulls what no message brought."""

from celery import shared_task

from acceptance import pulling
from acceptance.counter_client import CounterUnavailable
from infra.coordination import clock


@shared_task(name="acceptance.pull_unsynced")
def pull_unsynced() -> int:
    """Take in what has been waiting too long; counter being away is no error, the next sweep comes soon."""
    try:
        return pulling.pull_unsynced(min_age_ms=pulling.OVERDUE_AFTER_MS, now=clock.of("desk").now())
    except CounterUnavailable:
        return 0
