"""Pulling what the broker lost: orders that counter still counts as unacknowledged come in by HTTP."""

from datetime import datetime

import structlog

from acceptance import counter_client
from acceptance.intake import ingest
from acceptance.models import AcceptedOrder
from config.leadership import Term

log = structlog.get_logger(__name__)

OVERDUE_AFTER_MS = 1000  # what the queue has not brought by then is pulled
PULL_LIMIT = 1000
MAX_PULLS = 50


def pull_unsynced(*, min_age_ms: int, now: datetime, term: Term | None = None) -> int:
    """Take in and acknowledge every order that has been waiting for `min_age_ms`; how many were new to the desk.

    Goes on after the last order of each page, so that conflicts, which are never acknowledged, hide none behind them.

    Raises: CounterUnavailable, CounterRefused; LeadershipLost for who gives a `term` that is over.
    """
    accepted = after_id = 0
    for _ in range(MAX_PULLS):
        events = counter_client.pull(min_age_ms=min_age_ms, limit=PULL_LIMIT, after_id=after_id)
        if not events:
            break
        intake = ingest(events=events, door=AcceptedOrder.Door.PULL, now=now, term=term)
        accepted += len(intake.accepted)
        if intake.stored:
            counter_client.acknowledge(intake.stored)
        if len(events) < PULL_LIMIT:
            break
        after_id = events[-1].order_id
    if accepted:
        log.info("pulled orders that no message brought", accepted=accepted)
    return accepted
