"""Doing the same thing from several threads at one moment, each with its own database connection."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

from django.db import connections

T = TypeVar("T")


def at_once(actions: Iterable[Callable[[], T]]) -> list[T]:
    """Run all actions, started together; their results in the order of `actions`. The first exception is raised."""
    waiting = list(actions)
    together = Barrier(len(waiting))

    def run(action: Callable[[], T]) -> Any:
        try:
            together.wait(timeout=30)
            return action()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(waiting)) as pool:
        return list(pool.map(run, waiting))
