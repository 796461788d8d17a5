"""Messages that could not be taken in, in a queue of their own: nothing waits for them, and a person looks.

Nothing is lost with one: their sender goes on counting what was not acknowledged, and a pull brings it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from kombu import Connection, Message, Queue

from infra.broker.connection import DEAD_LETTERS, connect, dead_letter_queue, message_queue
from infra.broker.message_signing import KEY_ID, MAC

TASK_MARK = "is_task"  # header of what a worker refused


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message as it came, why it was put aside and when (blank where the broker itself gave it up)."""

    body: bytes
    reason: str
    buried_at: str


def bury(message: Message, *, reason: str, now: datetime, is_task: bool = False) -> None:
    """Put a message aside and take it out of its queue; of more than DEAD_LETTERS the oldest are dropped.

    `is_task` tells what came for a worker from a message between the two systems.

    Raises: what the broker's client raises; the message is then still where it came from.
    """
    with connect() as connection:
        queue = _declared(connection)
        headers = {"reason": reason, "buried_at": now.isoformat(timespec="seconds"), **_signature(message)}
        if is_task:
            headers[TASK_MARK] = "1"
        _publish(connection, queue.name, _body(message), headers)
        while _depth(queue) > DEAD_LETTERS:
            queue.get(no_ack=True)
    message.ack()


def dead_letters() -> list[DeadLetter]:
    """All that were put aside, oldest first. Raises: what the broker's client raises."""
    with _taken() as (_, messages):
        try:
            return [_letter(message) for message in messages]
        finally:
            for message in messages:
                message.requeue()


def replay() -> int:
    """Send every dead letter that is no task once more; how many. What is still poison comes back.

    Each has the signature that it came with, so what nobody of ours has sent is refused again. Tasks stay: a sweep does
    their work.

    Raises: what the broker's client raises; what was not sent by then stays.
    """
    with _taken() as (connection, messages):
        queue = message_queue()(connection.default_channel)
        queue.declare()  # RabbitMQ confirms what it throws away because no queue of that name is there
        letters = [message for message in messages if TASK_MARK not in (message.headers or {})]
        return _each(
            letters, lambda message: _publish(connection, queue.name, _body(message), _signature(message))
        )


def discard() -> int:
    """Delete every dead letter; how many. Raises: what the broker's client raises."""
    with _taken() as (_, messages):
        return _each(messages, lambda message: None)


def _each(messages: list[Message], do: Callable[[Message], None]) -> int:
    for message in messages:
        do(message)
        message.ack()
    return len(messages)


@contextmanager
def _taken() -> Iterator[tuple[Connection, list[Message]]]:
    """Everything in the queue, held by a connection; what is not acknowledged by its end goes back."""
    with connect() as connection:
        queue = _declared(connection)
        taken = (queue.get() for _ in range(_depth(queue)))
        yield connection, [message for message in taken if message is not None]


def _declared(connection: Connection) -> Queue:
    queue = dead_letter_queue()(connection.default_channel)
    queue.declare()
    return queue


def _depth(queue: Queue) -> int:
    declared: Any = queue.queue_declare()
    return declared.message_count


def _publish(connection: Connection, queue: str, body: bytes, headers: dict[str, str]) -> None:
    with connection.Producer(auto_declare=False) as producer:
        producer.publish(
            body,
            exchange="",
            routing_key=queue,
            headers=headers,
            content_type="application/octet-stream",
            content_encoding="binary",
            delivery_mode=2,
            retry=False,
            timeout=settings.BROKER_TIMEOUT_SECONDS,
        )


def _letter(message: Message) -> DeadLetter:
    headers = message.headers or {}
    given_up = "the broker gave it up after too many deliveries" if "x-death" in headers else ""
    return DeadLetter(_body(message), headers.get("reason", given_up), headers.get("buried_at", ""))


def _signature(message: Message) -> dict[str, str]:
    headers = message.headers or {}
    return {name: str(headers[name]) for name in (KEY_ID, MAC) if name in headers}


def _body(message: Message) -> bytes:
    body = message.body or b""
    return body.encode() if isinstance(body, str) else bytes(body)
