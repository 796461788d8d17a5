"""Sending task chains to the workers, or running them here while the broker is away.

The broker is a convenience: what it loses is found again in the databases, so nothing here waits for it long.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import structlog
from celery import chain, current_app, signature
from django.db import connections

log = structlog.get_logger(__name__)

LOCAL_THREADS = 4
Steps = Sequence[tuple[str, list[Any]]]


@dataclass(frozen=True, slots=True)
class Fallback:
    """When to run chains in this process, and what each of them runs inside."""

    broker_is_up: Callable[[], bool]
    acting: Callable[[], AbstractContextManager[None]]


class Dispatcher:
    """Sends task chains to the workers, or runs them on threads of this process while the broker is away.

    A process that leads may become the fallback for when no broker answers. There a chain is sent from a thread too, so
    that a broker that hangs holds up nothing else of it.
    """

    def __init__(self) -> None:
        self._fallback: Fallback | None = None
        self._pool = _local_pool()
        self._waiting: set[str] = set()
        self._lock = threading.Lock()

    def send(self, steps: Steps) -> None:
        """Enqueue (task name, arguments) steps as one chain. It may get lost: what it would do, a sweep does too.

        Tasks are named, not imported, so that an app may call one that lies above it in the import order.
        """
        if (fallback := self._fallback) is None:
            self._publish(steps)
            return
        key = repr(steps)
        with self._lock:
            if key in self._waiting:
                return  # the same chain waits for a thread, and will see what this one would
            self._waiting.add(key)
        self._pool.submit(copy_context().run, self._deliver, key, steps, fallback)

    def fall_back(
        self, *, broker_is_up: Callable[[], bool], acting: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Run chains here while the broker is not up, each inside `acting`, which refuses by raising."""
        self._fallback = Fallback(broker_is_up, acting)

    def drain(self) -> None:
        """Finish what runs here, and run nothing more."""
        self._fallback = None
        running, self._pool = self._pool, _local_pool()
        running.shutdown(wait=True)
        with self._lock:
            self._waiting.clear()  # of what came too late to be begun

    def _publish(self, steps: Steps) -> bool:
        try:
            chain(*(signature(name, args=args, immutable=True) for name, args in steps)).apply_async()
        except Exception as error:  # noqa: BLE001 - any failure of any broker means the same here
            log.warning("broker did not take a chain", steps=[name for name, _ in steps], error=repr(error))
            return False
        return True

    def _deliver(self, key: str, steps: Steps, fallback: Fallback) -> None:
        with self._lock:
            self._waiting.discard(key)
        if fallback.broker_is_up() and self._publish(steps):
            return
        try:
            with fallback.acting():
                for name, args in steps:
                    current_app.tasks[name](*args)
        except Exception:
            log.exception("a chain failed in this process; its sweep will resume it", steps=key)
        finally:
            connections.close_all()


def _local_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(LOCAL_THREADS, thread_name_prefix="local-chain")


dispatcher = Dispatcher()
