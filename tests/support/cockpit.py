"""Rollups at times of one's own, and two systems that have worked and told of it."""

from datetime import timedelta

from django.conf import settings
from django.test import Client
from django.utils import timezone

import audit
from audit.record import record
from cockpit import queues, rollup
from cockpit.models import Tally
from cockpit.snapshot import shared
from counter.trading.watch import Watch
from infra.broker.canary import note_return
from infra.models import Lease
from settlement.venues.protocol import Venue
from tests.support.history import write_history
from tests.support.venue import PaperVenue

POST = {"path": "/api/v3/order$", "method": "POST"}
SECOND = timedelta(seconds=1)


class Clock:
    """Rollups taken one after another, each when it is due; what `work` has counted is of about now."""

    def __init__(self):
        self.now = timezone.now() - 25 * SECOND

    def tick(self, seconds=5):
        self.now += seconds * SECOND
        return rollup.take_if_due(now=self.now)


def counted(clock):
    """The rollup that counts all that there is: what the last one saw, and calls that ended 15 s ago."""
    for _ in range(4):
        clock.tick()
    return clock.tick()


def work(clock: Clock, venue: Venue, paper: PaperVenue) -> Tally:
    """A history with a refusal of the venue, counted, and what every process tells of itself."""
    clock.tick()
    paper.add_fault(kind="error_before", status=400, code=-1102, count=1, **POST)
    write_history(venue)
    now = timezone.now()
    queues.measure(now=now)
    Watch(started_at=now).judge(now=now)
    record(audit.run(now=now, venue=venue))
    Lease.objects.create(name="beat", token=1, holder="beat here 1 x", won_at=now, renewed_at=now)
    for queue in settings.WORKER_QUEUES:
        note_return(queue=queue, sent_at=now.isoformat())
    return counted(clock)


def first_page(client: Client) -> str:
    """What the first page says now: its figures are read once a second for all who look."""
    shared.forget()
    return client.get("/admin/figures/").content.decode()
