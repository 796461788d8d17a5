"""The venue as the pages ask it: loaded before it is needed, and with the time that it took told apart from ours."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import structlog
from django.conf import settings
from django.http import HttpResponseBase

if TYPE_CHECKING:
    from settlement.venues.protocol import Venue

log = structlog.get_logger(__name__)
_warming = threading.Lock()
_warmed = False


def venue() -> "Venue":
    """The venue; ccxt is loaded by the first question, not by every web process that starts."""
    from settlement.venues import ccxt_venue

    return ccxt_venue.venue()


def warm_up_soon() -> None:
    """Load ccxt and the markets in the background, once a process: a person at such a page will ask the venue."""
    global _warmed
    with _warming:
        if _warmed:
            return
        _warmed = True
    threading.Thread(target=_warm_up, name="venue", daemon=True).start()


def _warm_up() -> None:
    from settlement.venues.protocol import VenueError

    try:
        for underlying in settings.COINS:
            venue().market(underlying)
    except VenueError as error:
        log.info("venue is asked cold", error=str(error))


class TimedVenue:
    """A venue, had from `find` when it is first asked, that counts the seconds its answers take."""

    def __init__(self, find: Callable[[], "Venue"]) -> None:
        self._find = find
        self.seconds = 0.0

    @property
    def venue(self) -> "Venue":
        """Itself, as what it stands for."""
        return cast("Venue", self)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._find(), name)
        return self._timed(found) if callable(found) else found

    def _timed(self, call: Any) -> Any:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - began

        return timed

    def __str__(self) -> str:
        return f"The venue answered within {self.seconds * 1000:,.0f} ms." if self.seconds else ""

    def tell(self, response: HttpResponseBase) -> None:
        """Say in the answer's header how much of its time was the venue's."""
        response["Server-Timing"] = f"venue;dur={self.seconds * 1000:.1f}"
