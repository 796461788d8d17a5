"""When a task that waited too long is dropped: by the one clock, as beat has dated it, not by the worker's machine."""

from typing import Literal

from celery.worker.request import Request as CeleryRequest
from celery.worker.state import revoked as revoked_tasks
from django.db import DEFAULT_DB_ALIAS

from infra.coordination import clock
from infra.coordination.clock import ClockUnknown


class Request(CeleryRequest):
    """A received task. A worker whose wall clock is ahead would drop every sweep as expired."""

    def maybe_expire(self) -> Literal[True] | None:
        """Whether it has expired, and is dropped then; while the time is not known none has, for sweeps do no harm."""
        try:
            if not self.expires or clock.of(DEFAULT_DB_ALIAS).now() <= self.expires:
                return None
        except ClockUnknown:
            return None
        revoked_tasks.add(self.id)
        return True
