"""Pulling what the broker lost: orders that counter still counts as unacknowledged come in by HTTP."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.conf import settings
from django.db.models import Max

from acceptance import counter_client
from acceptance.intake import Intake, ingest
from acceptance.isolating_failures import store_apart
from acceptance.models import AcceptedOrder
from counter.contracts import SettlementReport, SyncEvent
from infra.coordination.leadership import Term

log = structlog.get_logger(__name__)

OVERDUE_AFTER_MS = 1000  # what the queue has not brought by then is pulled
PULL_LIMIT = 1000
MAX_PULLS = 50


def pull_unsynced(*, min_age_ms: int, now: datetime, term: Term | None = None) -> int:
    """Take in and acknowledge every order that has been waiting for `min_age_ms`; how many were new to the desk.

    Goes on after the last order of each page, so that conflicts, and what the database refuses, hide none behind them:
    neither is ever acknowledged, and the latter is tried again each time.

    Raises: CounterUnavailable, CounterRefused; LeadershipLost for who gives a `term` that is over.
    """
    accepted = after_id = pulls = 0
    while pulls < MAX_PULLS:
        events = counter_client.pull(min_age_ms=min_age_ms, limit=PULL_LIMIT, after_id=after_id)
        if not events:
            break
        taken = _take(events, now, term)
        accepted += sum(len(intake.accepted) for intake in taken)
        if stored := [order_id for intake in taken for order_id in intake.stored]:
            acknowledge(stored)
            pulls += 1  # pages of nothing but conflicts do not count: what lies behind them is reached
        if len(events) < PULL_LIMIT:
            break
        after_id = events[-1].order_id
    if accepted:
        log.info("pulled orders that no message brought", accepted=accepted)
    return accepted


def acknowledge(order_ids: Sequence[int]) -> None:
    """Acknowledge what is stored; an order that counter fails at is offered again by the next pull, and hides no other.

    Raises: CounterUnavailable, CounterRefused.
    """
    store_apart(
        order_ids,
        store=counter_client.acknowledge,
        on_failure=lambda order_id, error: log.error(
            "order cannot be acknowledged", order_id=order_id, error=str(error)
        ),
        divides=counter_client.may_be_of_one,
    )


@dataclass(frozen=True, slots=True)
class TakenAgain:
    """How many orders were new to the desk, and what counter was told of those that the desk has not settled."""

    accepted: int
    told: list[SettlementReport]


def take_in_again(*, after_id: int, now: datetime) -> TakenAgain:
    """Take in every order after one that counter has, also those that were acknowledged: a restored desk forgot them.

    Raises: CounterUnavailable, CounterRefused.
    """
    accepted, told = 0, []
    while (page := counter_client.order_history(after_id=after_id, limit=PULL_LIMIT)).events:
        taken = _take(page.events, now, None)
        accepted += sum(len(intake.accepted) for intake in taken)
        acknowledge([order_id for intake in taken for order_id in intake.stored])
        unsettled = _unsettled(report.order_id for report in page.reports)
        told += [report for report in page.reports if report.order_id in unsettled]
        after_id = page.events[-1].order_id
    log.info("took in again what counter has", accepted=accepted, told=len(told))
    return TakenAgain(accepted, told)


def take_in_one(*, order_id: int, now: datetime) -> None:
    """Take in one order that counter has, acknowledged or not.

    Raises: CounterUnavailable, CounterRefused.
    """
    events = [
        event
        for event in counter_client.order_history(after_id=order_id - 1, limit=1).events
        if event.order_id == order_id
    ]
    stored = [order_id for intake in _take(events, now, None) for order_id in intake.stored]
    if stored:
        acknowledge(stored)


def keep_ids_apart() -> None:
    """Tell counter the highest order id that the desk has ever held: a restored counter would give ids out again.

    Raises: CounterUnavailable, CounterRefused.
    """
    highest = AcceptedOrder.objects.filter(source=settings.COUNTER_SOURCE).aggregate(Max("order_id"))
    if highest["order_id__max"] is not None:
        counter_client.tell_highest_order(highest["order_id__max"])


def _unsettled(order_ids: Iterable[int]) -> set[int]:
    """Which of these orders the desk holds and has not settled."""
    states = (AcceptedOrder.State.RECEIVED, AcceptedOrder.State.CONVERTING)
    held = AcceptedOrder.objects.filter(
        source=settings.COUNTER_SOURCE, order_id__in=list(order_ids), state__in=states
    )
    return set(held.values_list("order_id", flat=True))


def _take(events: Sequence[SyncEvent], now: datetime, term: Term | None) -> list[Intake]:
    taken: list[Intake] = []
    store_apart(
        events,
        store=lambda some: taken.append(
            ingest(events=some, door=AcceptedOrder.Door.PULL, now=now, term=term)
        ),
        on_failure=lambda event, error: log.error(
            "order cannot be stored", order_id=event.order_id, error=repr(error)
        ),
    )
    return taken
