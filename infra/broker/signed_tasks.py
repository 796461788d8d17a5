"""Tasks as they travel: signed by who sends them, and checked by the worker before anything of them is decoded.

A task carries ids and short names, and does no more than look at the database; still nobody else's is run, for its
chain or its arguments could name another task, another person, or a moment that lies ahead.
"""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from celery import Task
from celery.worker.strategy import default
from kombu import Message
from kombu.serialization import dumps

from infra.broker import dead_letters
from infra.broker.message_signing import TASK, NotOurs, check_mac, mac_headers
from infra.coordination import clock

log = structlog.get_logger(__name__)

SERIALIZER = "json"
COVERED = ("task", "id", "sent_at")  # headers that say what is run, and when it was sent


class SignedTask(Task):
    """A task that a worker runs only if this stack has sent it."""

    Strategy = "infra.broker.signed_tasks:strategy"
    Request = "infra.broker.task_expiry:Request"  # by which it expires


def sign(body: Any, headers: dict[str, Any]) -> None:
    """Add the MAC of a task that is about to be sent, over the bytes that Celery will send."""
    _, _, data = dumps(body, serializer=SERIALIZER)
    headers.update(mac_headers(_signed(as_bytes(data), headers), purpose=TASK))


def strategy(task: Task, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Celery's own way from a message to a request, after a look at the MAC; what is not ours becomes a dead letter."""
    handle = default(task, app, consumer, **options)

    def handle_ours(message: Message, *arguments: Any, **named: Any) -> Any:
        try:
            headers = message.headers or {}
            check_mac(_signed(as_bytes(message.body), headers), headers, purpose=TASK)
        except NotOurs as error:
            _refuse(task, message, error)
            return None
        return handle(message, *arguments, **named)

    return handle_ours


def as_bytes(body: Any) -> bytes:
    """A message's body, in each form that the broker's client gives it."""
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _signed(body: bytes, headers: Mapping[str, Any]) -> bytes:
    return "\n".join(str(headers.get(name)) for name in COVERED).encode() + b"\n" + body


def _refuse(task: Task, message: Message, error: NotOurs) -> None:
    log.error("task refused", task=task.name, error=str(error))
    dead_letters.bury(message, reason=f"task {task.name}: {error}", now=clock.of("desk").now(), is_task=True)
