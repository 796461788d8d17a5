"""When API keys were used last: each is written down once a minute at most, many at a time, and nobody waits for it."""

import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import structlog
from django.db import connection

from counter.models import ApiKey
from infra.coordination.ages import AHEAD_TOLERANCE

log = structlog.get_logger(__name__)

OF_EACH_KEY_EVERY = timedelta(seconds=60)
WRITTEN_EVERY_SECONDS = 1.0


class KeyUses:
    """What one thread has to write down; not to be shared."""

    def __init__(self) -> None:
        self._written: dict[int, datetime] = {}
        self._pending: set[int] = set()
        self._due_at = 0.0  # by the monotonic clock

    def note(self, key_ids: Collection[int], *, now: datetime) -> None:
        """These keys were used now."""
        fresh = {key_id for key_id in key_ids if self._is_old(key_id, now)}
        if fresh and not self._pending:
            self._due_at = time.monotonic() + WRITTEN_EVERY_SECONDS
        self._pending |= fresh

    def seconds_until_due(self) -> float | None:
        """How long nothing has to be written; None for as long as no key is used."""
        return max(self._due_at - time.monotonic(), 0.0) if self._pending else None

    def are_due(self) -> bool:
        """Whether it is time to write."""
        return bool(self._pending) and time.monotonic() >= self._due_at

    def write(self, *, now: datetime, connect: Callable[[], None]) -> None:
        """Write down what is pending, after `connect`; what fails is told another minute, for nothing depends on it."""
        used, self._pending = self._pending, set()
        if not used:
            return
        self._written |= dict.fromkeys(used, now)
        try:
            connect()
            keys = ApiKey.objects.filter(pk__in=sorted(used))
            lately = (now - OF_EACH_KEY_EVERY, now + AHEAD_TOLERANCE)
            keys.exclude(last_used_at__range=lately).update(last_used_at=now)
        except Exception as error:  # noqa: BLE001 - requests go on after any error
            log.warning("last use of keys could not be noted", error=repr(error))
            connection.close()

    def _is_old(self, key_id: int, now: datetime) -> bool:
        written = self._written.get(key_id)
        return written is None or abs(now - written) >= OF_EACH_KEY_EVERY
