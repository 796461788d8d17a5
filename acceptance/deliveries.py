"""Storing what the queue delivers: a message that cannot be read or stored is told from the others, which are stored.

Guards the others: a message never fails because of what came with it, and none is taken for poison while it is the
database that is away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kombu import Message

from acceptance.intake import ingest
from acceptance.isolating_failures import store_apart
from acceptance.models import AcceptedOrder
from counter.contracts import VERSION, SyncBatch, SyncEvent, decode
from infra.broker.message_signing import SYNC, check_mac
from infra.coordination.leadership import Term

MAX_BATCH_NAME = 36


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
    """Decode a message, after a look at who has sent it.

    Raises: Unreadable; NotOurs for what counter has not sent.
    """
    body = message.body or b""
    check_mac(body.encode() if isinstance(body, str) else body, message.headers or {}, purpose=SYNC)
    try:
        batch = decode(body, SyncBatch)
    except Exception as error:  # the bytes of a stranger may lead to any
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

    Raises: transient errors of the database, LeadershipLost when the term is over; some may be stored then, which
    does no harm.
    """
    taken = Taken()

    def store(some: Sequence[Delivery]) -> None:
        events = [event for delivery in some for event in delivery.events]
        taken.order_ids += ingest(events=events, door=AcceptedOrder.Door.QUEUE, now=now, term=term).stored

    def on_failure(delivery: Delivery, error: Exception) -> None:
        taken.poison.append((delivery.message, error))

    store_apart(deliveries, store=store, on_failure=on_failure)
    return taken
