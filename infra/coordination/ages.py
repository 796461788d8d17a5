"""How old a stored time is, when the clock that wrote it may have been wrong.

A time that lies ahead of now by more than AHEAD_TOLERANCE was written by a wrong clock: it proves nothing, so it counts
as older than any limit, and what is newer than it by mistake gives way to the next truth.
"""

from datetime import datetime, timedelta

# What is decided may be dated before what it reads: the time is read first, and then a lock may be waited for, two
# seconds at most where orders are placed.
AHEAD_TOLERANCE = timedelta(seconds=5)
AHEAD_INTERVAL = f"interval '{AHEAD_TOLERANCE.total_seconds():g} seconds'"  # the same in SQL
FOR_EVER = timedelta(days=36_500)


def lies_ahead(at: datetime, *, now: datetime) -> bool:
    """Whether a stored time lies so far ahead that a clock was wrong when it was stored."""
    return at > now + AHEAD_TOLERANCE


def age(at: datetime, *, now: datetime) -> timedelta:
    """How old it is: 0 if it lies ahead by what is usual, FOR_EVER if by more."""
    return FOR_EVER if lies_ahead(at, now=now) else max(now - at, timedelta(0))


def is_recent(seconds_ago: float, *, within: float) -> bool:
    """Whether something that happened so long ago shows that something lives."""
    return -AHEAD_TOLERANCE.total_seconds() <= seconds_ago < within
