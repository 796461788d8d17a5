"""How full the broker's queues are: asked for by a task and stored, so that nobody who looks waits for a broker."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from typing import Any

from django.conf import settings

from cockpit.models import QueueDepth
from infra.broker.connection import connect, dead_letter_queue
from infra.broker.queues import worker_queue_name
from infra.broker.transports import uses_redis

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
        names = measured()
        depths = [
            QueueDepth(queue=queue, messages=messages, at=now)
            for queue, messages in zip(names, _depths(connection, names.values()), strict=True)
        ]
    QueueDepth.objects.bulk_create(
        depths, update_conflicts=True, unique_fields=["queue"], update_fields=["messages", "at"]
    )


def _depths(connection: Any, names: Iterable[str]) -> Iterator[int]:
    """How many messages wait in each; all are asked for on one channel, for with Redis each connects anew."""
    with ExitStack() as channels:
        channel = None
        for name in names:
            if channel is None:
                channel = channels.enter_context(closing(connection.channel()))
            try:
                yield channel.queue_declare(queue=name, passive=True).message_count
            except connection.channel_errors:
                yield 0  # nothing has ever been sent to it, and with Redis it is not there while it is empty
                if not uses_redis(settings.BROKER_URL):
                    channel = None  # RabbitMQ closes one that asks for a queue that is not there
