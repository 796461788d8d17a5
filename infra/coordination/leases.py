"""Who leads, for people and health checks: what the leases of `infra.coordination.leadership` say."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connections

from infra.coordination.ages import is_recent
from infra.coordination.leadership import SILENT_AFTER_SECONDS

LEADERS = """
    SELECT name, holder, token, won_at, extract(epoch FROM clock_timestamp() - renewed_at)::float8
    FROM config_lease ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class Leader:
    """Who holds a lease, since when, and how many seconds ago it was last renewed."""

    name: str
    holder: str
    token: int
    won_at: datetime
    silent_seconds: float

    @property
    def is_alive(self) -> bool:
        return is_recent(self.silent_seconds, within=SILENT_AFTER_SECONDS)


def leaders(*, using: str) -> list[Leader]:
    """The leaders whose leases lie in one database, by name; one that is not alive has no successor yet."""
    with connections[using].cursor() as cursor:
        cursor.execute(LEADERS)
        return [Leader(*row) for row in cursor.fetchall()]
