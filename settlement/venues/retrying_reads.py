"""Reads that broke off are retried at once: a read changes nothing, and one answer often takes several of them.

Never for calls that send an order or move funds, nor for a read that timed out or that the venue refused: those wait
for their due time.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog

from settlement.venues.protocol import VenueError

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

TIMES = 3
# The connection ended, the answer came from a gateway or not whole.
BROKE_OFF = ("NetworkError", "ServerError", "BadAnswer")
LATE = "InvalidNonce"  # by the venue's clock, which is read before the next call


def retried(question: Callable[P, T]) -> Callable[P, T]:
    """A question to the venue, asked up to TIMES times."""

    @wraps(question)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(TIMES - 1):
            try:
                return question(*args, **kwargs)
            except VenueError as error:
                # With a code of its own the venue itself has spoken.
                if error.kind != LATE and (error.kind not in BROKE_OFF or error.code):
                    raise
                log.info("asked again", question=question.__name__, error=str(error))
        return question(*args, **kwargs)

    return asked
