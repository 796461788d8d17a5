"""How full the broker's queues are: asked for by a task and stored, so that nobody who looks waits for a broker."""

from contextlib import closing
from datetime import datetime
from typing import Any

from django.conf import settings

from cockpit.models import QueueDepth
from infra.broker.connection import connect, dead_letter_queue
from infra.broker.queues import worker_queue_name

SYNC, DEAD = "sync-orders", "sync-orders.dead"


def measured() -> dict[str, str]:
    """What the broker calls the queues that are asked about, by what people call them: counter's to the desk, what
    could not be taken in, and the workers'."""
    stack = settings.STACK_NAME
    workers = {queue: worker_queue_name(queue, stack=stack) for queue in settings.WORKER_QUEUES}
    return {SYNC: settings.SYNC_QUEUE, DEAD: dead_letter_queue().name, **workers}


def measure(*, now: datetime) -> None:
    """Store how many messages wait in each queue. Raises: what the broker's client raises."""
    with connect() as connection:
        depths = [
            QueueDepth(queue=queue, messages=_depth(connection, name), at=now)
            for queue, name in measured().items()
        ]
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
