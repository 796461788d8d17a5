"""Bounded connections to the broker, and the durable queue of messages between the two systems, with its dead letters.

The broker is a convenience: what it loses is found again in the databases, so nothing here waits for it long.
"""

from typing import Any

from django.conf import settings
from kombu import Connection, Exchange, Queue

from infra.broker import redis_transport
from infra.broker.transports import transport_options, uses_redis

redis_transport.install()

DEAD_LETTERS = 1000  # the oldest beyond go
# A message that ends its readers is given up by RabbitMQ after so many deliveries; Redis counts none.
DELIVERIES = 20


def message_queue() -> Queue:
    """The durable queue that carries messages from one system to the other."""
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": _dead_letter_name()}
    return _durable_queue(settings.SYNC_QUEUE, {**dead, "x-delivery-limit": DELIVERIES})


def dead_letter_queue() -> Queue:
    """The durable queue of messages that could not be taken in; nobody consumes it."""
    # Looking at a message counts as delivering it.
    return _durable_queue(_dead_letter_name(), {"x-max-length": DEAD_LETTERS, "x-delivery-limit": 1_000_000})


def _dead_letter_name() -> str:
    return f"{settings.SYNC_QUEUE}.dead"


def _durable_queue(name: str, arguments: dict[str, Any]) -> Queue:
    """A queue whose `arguments` only RabbitMQ understands."""
    quorum = None if uses_redis(settings.BROKER_URL) else {"x-queue-type": "quorum", **arguments}
    return Queue(name, Exchange(""), routing_key=name, durable=True, queue_arguments=quorum)


def connect(*, timeout_seconds: float | None = None) -> Connection:
    """A broker connection in which each try to connect and each answer are bounded; opened on use.

    The bound is BROKER_TIMEOUT_SECONDS if none is given.
    """
    timeout_seconds = timeout_seconds or settings.BROKER_TIMEOUT_SECONDS
    options = transport_options(
        settings.BROKER_URL,
        timeout_seconds=timeout_seconds,
        sentinel_master=settings.BROKER_SENTINEL_MASTER,
    )
    if uses_redis(settings.BROKER_URL):
        options["socket_timeout"] = timeout_seconds
    return Connection(settings.BROKER_URL, connect_timeout=timeout_seconds, transport_options=options)


def check(channel: Any) -> None:
    """One round trip to the broker, bounded like every other; raises what the broker's client raises."""
    message_queue()(channel).queue_declare()
