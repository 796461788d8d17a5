"""Whether the workers work: a task that travels through the broker to each queue's workers, and is missed.

A worker may live, be connected and yet consume nothing; only what comes back proves that it does.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from infra.coordination.ages import AHEAD_INTERVAL, is_recent

# The leading beat sends a canary through each queue every 5 s.
MISSED_AFTER_SECONDS = 20.0

RETURN = f"""
    INSERT INTO config_canary AS c (queue, sent_at, returned_at) VALUES (%s, %s::timestamptz, clock_timestamp())
    ON CONFLICT (queue) DO UPDATE SET sent_at = EXCLUDED.sent_at, returned_at = EXCLUDED.returned_at
    WHERE c.sent_at < EXCLUDED.sent_at OR c.sent_at > clock_timestamp() + {AHEAD_INTERVAL}
"""  # noqa: S608 - our own
SEEN = """
    SELECT queue, extract(epoch FROM clock_timestamp() - returned_at)::float8,
        extract(epoch FROM returned_at - sent_at)::float8
    FROM config_canary
"""


@dataclass(frozen=True, slots=True)
class Trip:
    """The last round trip through one queue: how long ago it ended and how long it took; None if there was none."""

    queue: str
    age_seconds: float | None
    took_seconds: float | None

    @property
    def ok(self) -> bool:
        """Whether the queue's workers are known to work."""
        return self.age_seconds is not None and is_recent(self.age_seconds, within=MISSED_AFTER_SECONDS)


def note_return(*, queue: str, sent_at: str) -> None:
    """A canary came back, which beat has dated `sent_at` by the database's clock. One that is late is ignored."""
    with connection.cursor() as cursor:
        cursor.execute(RETURN, [queue, sent_at])


def trips() -> list[Trip]:
    """The last round trip through each queue that workers consume."""
    with connection.cursor() as cursor:
        cursor.execute(SEEN)
        seen = {queue: (age, took) for queue, age, took in cursor.fetchall()}
    return [Trip(queue, *seen.get(queue, (None, None))) for queue in settings.WORKER_QUEUES]
