"""Storing what the queue delivers: a message that cannot be read or stored is told from the others, which are stored.

Guards the others: a message never fails because of what came with it, and none is taken for poison while it is the
database that is away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import InterfaceError, OperationalError
from kombu import Message

from acceptance.intake import ingest
from acceptance.models import AcceptedOrder
from config.leadership import LeadershipLost, Term
from counter.contracts import VERSION, SyncBatch, SyncEvent, decode

MAX_BATCH_NAME = 36
TOO_LARGE = "54"  # PostgreSQL's class of errors of what exceeds its limits, whenever it comes


class Unreadable(Exception):
    """A message that is no batch of sync events of our version."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message, and the events that were read from it."""

    message: Message
    events: list[SyncEvent]


@dataclass(slots=True)
class Taken:
    """What became of deliveries: the order ids that the desk holds now, and the messages it could not store."""

    order_ids: list[int] = field(default_factory=list)
    poison: list[tuple[Message, Exception]] = field(default_factory=list)


def read(message: Message) -> Delivery:
    """Decode a message.

    Raises: Unreadable.
    """
    try:
        batch = decode(message.body or b"", SyncBatch)
    except Exception as error:  # whatever the bytes of a stranger lead to
        raise Unreadable(str(error)) from error
    if batch.version != VERSION:
        raise Unreadable(f"version {batch.version} is not understood")
    return Delivery(message, batch.events)


def batches(deliveries: Sequence[Delivery]) -> str:
    """What their senders call the messages; a stranger may have written anything."""
    names = (delivery.message.properties.get("correlation_id") for delivery in deliveries)
    return " ".join(str(name)[:MAX_BATCH_NAME] for name in names if name)


def take(deliveries: Sequence[Delivery], *, now: datetime, term: Term) -> Taken:
    """Store deliveries together; when that fails they are halved until what cannot be stored stands alone.

    Raises: OperationalError, InterfaceError when the database is away, LeadershipLost when the term is over; some may
    be stored then, which does no harm.
    """
    taken = Taken()
    _take(deliveries, taken, now, term)
    return taken


def _take(deliveries: Sequence[Delivery], taken: Taken, now: datetime, term: Term) -> None:
    events = [event for delivery in deliveries for event in delivery.events]
    try:
        taken.order_ids += ingest(events=events, door=AcceptedOrder.Door.QUEUE, now=now, term=term).stored
    except Exception as error:
        if _is_passing(error):
            raise
        if len(deliveries) == 1:
            taken.poison.append((deliveries[0].message, error))
            return
        half = len(deliveries) // 2
        _take(deliveries[:half], taken, now, term)
        _take(deliveries[half:], taken, now, term)


def _is_passing(error: Exception) -> bool:
    """Whether it is the database's state, or ours, that is to blame, and not what was to be stored."""
    if isinstance(error, LeadershipLost):
        return True
    sqlstate = getattr(error.__cause__, "sqlstate", None) or ""
    return isinstance(error, (OperationalError, InterfaceError)) and not sqlstate.startswith(TOO_LARGE)
