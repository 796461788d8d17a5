"""How long an attempt to place orders lives: one deadline from its arrival, for all that is done for it.

Invariant: what has arrived is decided within `ORDER_WITHIN_SECONDS`, or never. A COMMIT may be sent until
`COMMIT_WITHIN_SECONDS` before that; the server ends a transaction that hears nothing for so long, so that none which
was on its way for longer (a connection that is cut off, a process that was stopped) is carried out. The reasons are in
docs/decisions/deadlines.md. Times are of this machine's monotonic clock.
"""

import time

from django.conf import settings

# What COMMIT and the answer may take: the database's idle_in_transaction_session_timeout where orders are written.
COMMIT_WITHIN_SECONDS = 0.75


class TooLate(Exception):
    """The deadline is over: nothing was stored."""


def work_until(*, arrived: float) -> float:
    """Until when a COMMIT may be sent for what has `arrived`."""
    return arrived + settings.ORDER_WITHIN_SECONDS - COMMIT_WITHIN_SECONDS


def seconds_left(until: float) -> float:
    """Seconds from now to `until`; none if that is over."""
    return max(until - time.monotonic(), 0.0)


def check(until: float | None) -> None:
    """Go on only before `until`.

    Raises: TooLate.
    """
    if until is not None and time.monotonic() >= until:
        raise TooLate
