"""Options at their end that need somebody: those whose index a person has to enter, and those that nobody takes on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connections

WITH_OPEN_POSITIONS = """
    SELECT e.state = 'WAITING' AND e.why <> '' AS needs_index, count(*), min(e.expires_at)
    FROM counter_expiry AS e
    WHERE e.state <> 'SETTLED'
        AND (e.state = 'WAITING' AND e.why <> '' OR COALESCE(e.indexed_at, e.taken_at) < %(late)s
            AND NOT EXISTS (SELECT FROM counter_tradingswitch AS s
                            WHERE s.state = 'ALL_STOPPED' AND s.underlying IN (e.underlying, '*')))
        AND EXISTS (
        SELECT FROM counter_option AS o JOIN counter_position AS p ON p.option_id = o.id AND p.state = 'OPEN'
        WHERE o.underlying = e.underlying AND o.expires_at = e.expires_at)
    GROUP BY 1
"""
NOT_TAKEN = """
    SELECT count(DISTINCT (underlying, expires_at)), min(expires_at) FROM counter_option
    WHERE state IN ('LISTED', 'HALTED') AND expires_at < %(late)s
"""


@dataclass(frozen=True, slots=True)
class Expiries:
    """How many expiries wait for an index that a person has to enter, and how many nobody takes further; since when."""

    without_index: int
    oldest_without_index: datetime | None
    late: int
    oldest_late: datetime | None


def read(*, now: datetime) -> Expiries:
    """As of now. Late is what should have been done for as long as the audit lets an option that is due stay listed."""
    late = now - timedelta(seconds=settings.AUDIT_AGE_LIMITS_SECONDS["option"]["LISTED"])
    with connections["default"].cursor() as cursor:
        cursor.execute(WITH_OPEN_POSITIONS, {"late": late})
        found = {needs_index: (count, oldest) for needs_index, count, oldest in cursor.fetchall()}
        cursor.execute(NOT_TAKEN, {"late": late})
        not_taken, oldest_not_taken = cursor.fetchone()
    without, oldest_without = found.get(True, (0, None))
    begun, oldest_begun = found.get(False, (0, None))
    late_since = min((at for at in (oldest_not_taken, oldest_begun) if at is not None), default=None)
    return Expiries(without, oldest_without, not_taken + begun, late_since)
