"""Doors for Celery: what keeps the figures going while nobody looks."""

from datetime import timedelta

import structlog
from celery import shared_task
from django.db import DatabaseError
from django.utils import timezone

import audit
from audit.models import AuditRun
from audit.record import record
from cockpit import queues, tally
from settlement.venues.ccxt_venue import venue

AUDIT_PAUSE_TIMES = 20  # of the time that the last one took

log = structlog.get_logger(__name__)


@shared_task(name="cockpit.tally")
def take_tally() -> None:
    """Count on; while a database is away the next one takes along what this one would have counted."""
    try:
        tally.take_if_due(now=timezone.now())
    except DatabaseError as error:
        log.warning("nothing is counted", error=repr(error))


@shared_task(name="cockpit.measure_queues")
def measure_queues() -> None:
    """Store how full the queues are."""
    queues.measure(now=timezone.now())


@shared_task(name="cockpit.audit")
def run_audit() -> None:
    """Check the nine invariants with the venue, and keep what was found; not too often where that takes long."""
    last = AuditRun.objects.order_by("-id").first()
    if last and timezone.now() - last.at < AUDIT_PAUSE_TIMES * timedelta(seconds=last.seconds):
        return
    report = record(audit.run(now=timezone.now(), venue=venue()))
    if report.broken:
        log.error("the audit found something broken", broken=report.broken, audit=report.pk)
