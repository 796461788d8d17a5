"""The whole timeline of one order, both systems put together; few queries, each by key or index."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError

from cockpit.timeline import counter_side, desk_side, people_side, venue_side
from cockpit.timeline.desk_side import OrderAtDesk
from cockpit.timeline.events import Event
from cockpit.timeline.result import QuoteToFill, quote_to_fill
from counter.models import SyncOrder

# Of what carries the same moment: why comes before what came of it.
AT_ONE_MOMENT = {
    ("counter", "quote"): 0,
    ("counter", "ledger"): 1,
    ("counter", "outbox"): 2,
    ("desk", "netting"): 3,
    ("people", "intervention"): 4,
    ("people", "state"): 5,
    ("desk", "state"): 5,
    ("desk", "step"): 7,  # of the order, after all else of its conversion
}


@dataclass(frozen=True, slots=True)
class OrderTimeline:
    """One order's events, oldest first, with its result once it is settled; `missing` says what could not be read."""

    order_id: int
    order: SyncOrder | None
    held: OrderAtDesk | None
    events: tuple[Event, ...]
    result: QuoteToFill | None
    missing: str = ""

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        at_desk = self.held is None or self.held.order.reported_at is not None
        at_counter = self.order is None or self.order.state == SyncOrder.State.SETTLED
        return at_desk and at_counter


def timeline(*, order_id: int, now: datetime) -> OrderTimeline | None:
    """Everything that is stored of an order, or None when neither system knows it; works while it is under way.

    With the desk's database away it tells counter's half and says so.
    """
    order = counter_side.read_order(order_id)
    events = list(counter_side.events_of(order)) if order else []
    held, missing = None, ""
    try:
        held = desk_side.read_order(order_id)
        events += _at_the_desk(order_id, held, now)
    except DatabaseError as error:
        missing = f"the desk's database does not answer: {error}"
    if not events and not missing:
        return None
    return OrderTimeline(
        order_id=order_id,
        order=order,
        held=held,
        events=tuple(sorted(events, key=_place)),
        result=quote_to_fill(order, held.share if held else None),
        missing=missing,
    )


def _place(event: Event) -> tuple[datetime, int]:
    return event.at, AT_ONE_MOMENT.get((event.system, event.kind), 6)


def _at_the_desk(order_id: int, held: OrderAtDesk | None, now: datetime) -> Iterator[Event]:
    conflicts = desk_side.conflicts_of(order_id)
    yield from desk_side.conflict_events(conflicts)
    conversions = held.conversions if held else []
    if held is not None:
        yield from desk_side.events_of(held)
        yield from venue_side.events_of(conversions)
        until = held.order.settled_at or now
        yield from venue_side.halts(settings.VENUE, held.order.received_at, until)
    yield from people_side.events_of(conversions, conflicts)
