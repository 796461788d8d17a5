"""How fast each customer and key may ask: the generic cell rate algorithm, atomic in the database for all processes.

A limit lets `at_once` requests through, and gives one of them back every 1/`per_second`. What is held is only the time
at which all will have been given back, so that nothing has to be counted down or cleared away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from infra.coordination.ages import AHEAD_TOLERANCE
from infra.db.arrays import array

SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)

# How far ahead it lies until all will have been given back. Nothing leads further than a whole burst: what does was
# written by a wrong clock, and counts for nothing.
_AHEAD = """
    CASE WHEN p.tat_us - %(now)s::bigint > p.burst::bigint * p.every_us + %(tolerance_us)s THEN 0
         ELSE greatest(p.tat_us - %(now)s::bigint, 0) END
"""
# How many of those that are asked for have been given back by now.
_GRANTED = f"""
    least(EXCLUDED.granted, greatest(EXCLUDED.burst
        - ({_AHEAD} + EXCLUDED.every_us - 1) / EXCLUDED.every_us, 0))
"""
# In the order of the subjects: two processes that ask for the same ones never wait for each other.
GRANT = f"""
    INSERT INTO counter_pace AS p (subject, tat_us, every_us, burst, granted)
    SELECT a.subject, %(now)s::bigint + least(a.asked, a.burst) * a.every_us, a.every_us, a.burst,
           least(a.asked, a.burst)
    FROM unnest(%(subjects)s::varchar[], %(every_us)s::bigint[], %(bursts)s::bigint[], %(asked)s::bigint[])
        AS a(subject, every_us, burst, asked)
    ORDER BY a.subject
    ON CONFLICT (subject) DO UPDATE SET
        tat_us = %(now)s::bigint + {_AHEAD} + {_GRANTED} * EXCLUDED.every_us,
        granted = {_GRANTED}, every_us = EXCLUDED.every_us, burst = EXCLUDED.burst
    RETURNING subject, granted, tat_us
"""  # noqa: S608 - composed of our own


@dataclass(frozen=True, slots=True)
class Limit:
    """`at_once` requests of a subject, of which `per_second`, up to a million, are given back every `seconds`."""

    subject: str
    per_second: int
    at_once: int
    seconds: int = 1

    @property
    def every_us(self) -> int:
        """Microseconds in which one is given back."""
        return max(self.seconds * SECOND_US // self.per_second, 1)


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """Where a limit stands after a request: what is left of it now, in how many seconds all is, and one is."""

    limit: int
    remaining: int
    reset_seconds: int
    retry_after_seconds: int


def of_customer(customer_id: int, *, per_second: int, at_once: int) -> Limit:
    """What a customer may ask, by all credentials together."""
    return Limit(f"customer:{customer_id}", per_second, at_once)


def of_key(key_id: int, *, per_second: int) -> Limit:
    """What may be asked with one key: a second's requests at once."""
    return Limit(f"key:{key_id}", per_second, per_second)


def of_staff_key(key_id: int, *, per_second: int, at_once: int) -> Limit:
    """What a program of staff may ask with one key."""
    return Limit(f"staff_key:{key_id}", per_second, at_once)


def of_public(bucket: str, *, per_second: int, at_once: int) -> Limit:
    """What may be asked without credentials, by all addresses of a bucket."""
    return Limit(f"public:{bucket}", per_second, at_once)


def of_logins(subject: str, *, seconds: int, at_once: int) -> Limit:
    """How often a password may be tried: `at_once`, and once more every so many seconds."""
    return Limit(f"login:{subject}", 1, at_once, seconds)


def grant(asked: Mapping[Limit, int], *, now: datetime) -> dict[Limit, tuple[int, LimitStatus]]:
    """Take as many requests of each limit as it has left, `asked` at most: how many, and where it stands then.

    Raises: database errors.
    """
    now_us = (now - _EPOCH) // _US
    by_subject = {limit.subject: limit for limit in asked}
    limits = list(by_subject.values())
    with connection.cursor() as cursor:
        cursor.execute(
            GRANT,
            {
                "now": now_us,
                "tolerance_us": AHEAD_TOLERANCE // _US,
                "subjects": array(list(by_subject)),
                "every_us": array([limit.every_us for limit in limits]),
                "bursts": array([limit.at_once for limit in limits]),
                "asked": array([asked[limit] for limit in limits]),
            },
        )
        rows = cursor.fetchall()
    return {
        by_subject[subject]: (granted, _standing(by_subject[subject], ahead_us=tat_us - now_us))
        for subject, granted, tat_us in rows
    }


def _standing(limit: Limit, *, ahead_us: int) -> LimitStatus:
    owed = _rounded_up(ahead_us, limit.every_us)
    until_one_us = ahead_us - (limit.at_once - 1) * limit.every_us
    return LimitStatus(
        limit=limit.at_once,
        remaining=max(limit.at_once - owed, 0),
        reset_seconds=_rounded_up(max(ahead_us, 0), SECOND_US),
        retry_after_seconds=max(_rounded_up(until_one_us, SECOND_US), 1),
    )


def _rounded_up(value: int, unit: int) -> int:
    return -(-value // unit)
