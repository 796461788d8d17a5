"""The rows in which stream processes report their counters, for operators."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from counter.models import StreamProcess
from infra.coordination.ages import AHEAD_TOLERANCE

SILENT_AFTER = timedelta(seconds=20)  # several times as long as a process is silent by itself
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Counts:
    """Who listens now, and what was done since the process started; `too_slow` and `revoked` were cut off."""

    listeners: int
    customers: int
    opened: int
    events: int
    too_slow: int
    revoked: int


def process_name() -> str:
    """This process among all."""
    return f"{socket.gethostname()}:{os.getpid()}"[:120]


def note(counts: Counts, *, started_at: datetime, now: datetime) -> None:
    """Say how this process does; processes that have been silent for long are forgotten."""
    fields = {name: getattr(counts, name) for name in Counts.__slots__}
    StreamProcess.objects.update_or_create(
        name=process_name(), defaults=fields | {"started_at": started_at, "seen_at": now}
    )
    StreamProcess.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def alive(*, now: datetime) -> list[StreamProcess]:
    """The processes that have said something of late."""
    seen = StreamProcess.objects.filter(seen_at__gt=now - SILENT_AFTER, seen_at__lte=now + AHEAD_TOLERANCE)
    return list(seen.order_by("name"))
