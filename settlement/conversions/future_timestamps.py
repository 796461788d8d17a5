"""Corrects rows of the desk that a wrong clock has dated into the future.

A call sent "in an hour" would count as silent only after that, and a row due then would wait until then. Each sweep
corrects and logs them; it finds none as long as no clock was wrong.
"""

from datetime import datetime, timedelta

import structlog
from django.db.models import Q

from infra.coordination.ages import AHEAD_TOLERANCE
from settlement.models import Conversion, FundsTransfer

log = structlog.get_logger(__name__)

UNFINISHED = ["SUBMITTED", "UNKNOWN", "RETRY_WAIT"]
# Nothing waits for longer by itself, unless the venue is halted, and then nothing is put right.
LONGEST_WAIT = timedelta(minutes=10)


def put_right(*, now: datetime) -> int:
    """What was sent in the future counts as sent now, and what is due too late as due now; how many rows that were."""
    found = 0
    for model in (Conversion, FundsTransfer):
        unfinished = model.objects.filter(state__in=UNFINISHED)
        sent = unfinished.filter(submitted_at__gt=now + AHEAD_TOLERANCE).update(submitted_at=now)
        late = Q(
            state__in=(Conversion.State.UNKNOWN, Conversion.State.RETRY_WAIT), due_at__gt=now + LONGEST_WAIT
        )
        due = unfinished.filter(late).update(due_at=now)
        if sent or due:
            log.error("rows lay in the future: a clock was wrong", rows=model.__name__, sent=sent, due=due)
        found += sent + due
    return found
