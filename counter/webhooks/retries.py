"""When a message is tried again, and when an endpoint that fails is."""

import random
from datetime import datetime, timedelta

# After the first attempt, the second ...; then the last of them again and again, until `retry_until`.
DELAYS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14_400))
JITTER_PERCENT = 20  # of a delay, either way
LONGEST_ASKED = timedelta(hours=1)  # in Retry-After; of more is not believed that it is meant
# From so many failures in a row on an endpoint gets one message at a time, at these distances.
FAILURES_TO_HOLD = 5
HOLDS = tuple(timedelta(seconds=seconds) for seconds in (15, 30, 60, 120, 300, 600))


def next_due(*, attempts: int, asked_seconds: float | None, now: datetime) -> datetime:
    """When a message is due again that was tried `attempts` times; no sooner than its receiver asked for."""
    delay = DELAYS[min(attempts, len(DELAYS)) - 1]
    asked = timedelta(seconds=asked_seconds or 0.0)
    return now + max(_jittered(delay), min(asked, LONGEST_ASKED))


def held_until(*, failures: int, asked_seconds: float | None, now: datetime) -> datetime | None:
    """Until when an endpoint gets nothing that has failed `failures` times in a row; None while it may fail."""
    asked = min(timedelta(seconds=asked_seconds or 0.0), LONGEST_ASKED)
    hold = timedelta(0)
    if failures >= FAILURES_TO_HOLD:
        hold = _jittered(HOLDS[min(failures - FAILURES_TO_HOLD, len(HOLDS) - 1)])
    longest = max(hold, asked)
    return now + longest if longest else None


def _jittered(delay: timedelta) -> timedelta:
    return delay * random.randint(100 - JITTER_PERCENT, 100 + JITTER_PERCENT) / 100
