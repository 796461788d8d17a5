"""The broker as both systems see it: bounded connections, the sync queue, and task chains that need no broker to run.

The broker is a convenience: whatever it loses is found again in the databases, so nothing here waits for it long.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from celery import chain, current_app, signature
from django.conf import settings
from django.db import close_old_connections
from kombu import Connection, Exchange, Queue

log = structlog.get_logger(__name__)

LOCAL_THREADS = 4


def sync_queue() -> Queue:
    """The durable queue that carries sync batches from counter to the desk."""
    return Queue(
        settings.SYNC_QUEUE,
        Exchange(""),
        routing_key=settings.SYNC_QUEUE,
        durable=True,
        queue_arguments=None if uses_redis() else {"x-queue-type": "quorum"},
    )


def uses_redis() -> bool:
    """Whether the broker speaks the Redis protocol; otherwise it is RabbitMQ with quorum queues."""
    return settings.BROKER_URL.startswith(("redis", "unix"))


def connect() -> Connection:
    """A broker connection in which connecting is bounded by BROKER_TIMEOUT_SECONDS; opened on first use."""
    return Connection(
        settings.BROKER_URL,
        connect_timeout=settings.BROKER_TIMEOUT_SECONDS,
        transport_options=dict(settings.CELERY_BROKER_TRANSPORT_OPTIONS),
    )


class Dispatcher:
    """Sends task chains to the workers, or runs them on threads of this process while the broker is away.

    `run_locally_on_failure` is set in the intake process only: it is the desk's fallback when no broker answers.
    """

    def __init__(self) -> None:
        self.run_locally_on_failure = False
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def send(self, steps: Sequence[tuple[str, list[Any]]]) -> bool:
        """Enqueue (task name, arguments) steps as one chain; True when the broker has taken it.

        Tasks are named, not imported, so that an app may call one that lies above it in the import order.
        """
        try:
            chain(*(signature(name, args=args, immutable=True) for name, args in steps)).apply_async()
        except Exception as error:  # noqa: BLE001 - any failure of any broker means the same here
            log.warning("broker did not take a chain", steps=[name for name, _ in steps], error=repr(error))
            if self.run_locally_on_failure:
                self._threads().submit(self._run, [(current_app.tasks[name], args) for name, args in steps])
            return False
        return True

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(LOCAL_THREADS, thread_name_prefix="local-settlement")
            return self._pool

    @staticmethod
    def _run(steps: Sequence[tuple[Callable[..., Any], list[Any]]]) -> None:
        close_old_connections()
        try:
            for task, args in steps:
                task(*args)
        except Exception:
            log.exception("a chain failed in this process; its sweep will resume it")
        finally:
            close_old_connections()


dispatcher = Dispatcher()
