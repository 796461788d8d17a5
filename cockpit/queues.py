"""How full the broker's queues are: asked for by a task and stored, so that nobody who looks waits for a broker."""

from contextlib import closing
from datetime import datetime
from typing import Any

from django.conf import settings

from cockpit.models import QueueDepth
from config.broker import connect, dead_letter_queue


def measured() -> list[str]:
    """The queues that are asked about: counter's to the desk, what it could not take in, and the workers'."""
    return [settings.SYNC_QUEUE, dead_letter_queue().name, *settings.WORKER_QUEUES]


def measure(*, now: datetime) -> None:
    """Store how many messages wait in each queue. Raises: what the broker's client raises."""
    with connect() as connection:
        depths = [QueueDepth(queue=name, messages=_depth(connection, name), at=now) for name in measured()]
    QueueDepth.objects.bulk_create(
        depths, update_conflicts=True, unique_fields=["queue"], update_fields=["messages", "at"]
    )


def _depth(connection: Any, name: str) -> int:
    # A channel for each: RabbitMQ closes one that asks for a queue that is not there.
    with closing(connection.channel()) as channel:
        try:
            return channel.queue_declare(queue=name, passive=True).message_count
        except connection.channel_errors:
            return 0  # nothing has ever been sent to it, and with Redis it is not there while it is empty
