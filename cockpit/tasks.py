"""Doors for Celery: what keeps the figures going while nobody looks."""

from datetime import timedelta

import structlog
from celery import shared_task
from django.db import DatabaseError

import audit
from audit.models import AuditRun
from audit.record import record
from cockpit import day_work, queues, rollup
from infra.coordination import clock
from infra.coordination.ages import age
from settlement.venues.ccxt_venue import venue

AUDIT_PAUSE_TIMES = 20  # of the time that the last one took

log = structlog.get_logger(__name__)


@shared_task(name="cockpit.tally")
def take_rollup() -> None:
    """Count on; while a database is away the next one takes along what this one would have counted."""
    try:
        rollup.take_if_due(now=clock.of("default").now())
    except DatabaseError as error:
        log.warning("nothing is counted", error=repr(error))


@shared_task(name="cockpit.measure_queues")
def measure_queues() -> None:
    """Store how full the queues are."""
    queues.measure(now=clock.of("default").now())


@shared_task(name="cockpit.audit")
def run_audit() -> None:
    """Check the nine invariants with the venue, and keep what was found; not too often where that takes long."""
    last = AuditRun.objects.order_by("-id").first()
    pause = AUDIT_PAUSE_TIMES * timedelta(seconds=last.seconds) if last else timedelta(0)
    if last and age(last.at, now=clock.of("default").now()) < pause:
        return
    report = record(audit.run(now=clock.of("default").now(), venue=venue()))
    if report.broken:
        log.error("the audit found something broken", broken=report.broken, audit=report.pk)


@shared_task(name="cockpit.work_on_days")
def work_on_days() -> None:
    """State and close the days that people have asked for; what a worker has left undone is begun anew.

    The venue is asked for its trades of a day that is stated.
    """
    day_work.work_off(clock=clock.of("default").now, venue=venue())
