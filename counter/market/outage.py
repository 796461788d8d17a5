"""A loop whose database is away: it tries again soon for as long as most failovers take, then at its usual pace."""

# It may be back, and nobody trades before there are quotes.
AGAIN_AFTER_SECONDS = 0.2
# Each try asks all sources of the index anew: they need not know how long our database is away.
AGAIN_FOR_SECONDS = 10.0


class Outage:
    """Since when each round has failed by the database; moments are this machine's monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._since: float | None = None

    @property
    def lasts(self) -> bool:
        """Whether the last round failed so."""
        return self._since is not None

    def note(self, *, away: bool, at: float) -> None:
        """How the round that began `at` this moment ended."""
        self._since = (at if self._since is None else self._since) if away else None

    def next_after(self, usual_seconds: float, *, at: float) -> float:
        """Seconds from the beginning of this round to that of the next."""
        if self._since is None or at - self._since >= AGAIN_FOR_SECONDS:
            return usual_seconds
        return min(AGAIN_AFTER_SECONDS, usual_seconds)
