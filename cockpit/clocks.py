"""Whether a clock is or was wrong: rows that lie in the future, and two databases that differ."""

from dataclasses import dataclass

from django.conf import settings
from django.db import connections

from infra.coordination import clock
from infra.coordination.ages import AHEAD_INTERVAL, AHEAD_TOLERANCE

# What is found is put right by the next of its kind, so a row that stays shows that nothing of its kind comes.
COUNTER = f"""
    SELECT 'quotes', count(*) FROM counter_quote WHERE quoted_at > clock_timestamp() + {AHEAD_INTERVAL}
    UNION ALL SELECT 'coins', count(*) FROM counter_tradingstatus
        WHERE judged_at > clock_timestamp() + {AHEAD_INTERVAL}
    UNION ALL SELECT 'samples', count(*) FROM counter_indexprice
        WHERE underlying = ANY(%s::varchar[]) AND at > clock_timestamp() + {AHEAD_INTERVAL}
    UNION ALL SELECT 'conditions', count(*) FROM counter_deskcondition
        WHERE received_at > clock_timestamp() + {AHEAD_INTERVAL}
    UNION ALL SELECT 'leases', count(*) FROM config_lease WHERE renewed_at > clock_timestamp() + {AHEAD_INTERVAL}
"""  # noqa: S608 - our own


@dataclass(frozen=True, slots=True)
class Clocks:
    """Rows of the future by what they are, and how far the desk's clock is ahead of counter's, if both are known."""

    ahead: dict[str, int]
    desk_ahead_seconds: float | None

    @property
    def differ(self) -> bool:
        """Whether the two are further apart than what lies ahead may be."""
        return abs(self.desk_ahead_seconds or 0.0) > AHEAD_TOLERANCE.total_seconds()


def read() -> Clocks:
    """Look at both. Raises: database errors of counter's."""
    with connections["default"].cursor() as cursor:
        cursor.execute(COUNTER, [list(settings.COINS)])
        ahead = dict(cursor.fetchall())
    desks, counters = clock.of("desk").known(), clock.of("default").known()
    if desks is None or counters is None:
        return Clocks(ahead, None)
    return Clocks(ahead, round((desks - counters).total_seconds(), 3))
