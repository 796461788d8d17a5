"""Converts moments of the desk's clock to the venue's, which we do not control."""

from datetime import UTC, datetime, timedelta

from infra.coordination import clock
from settlement.venues.protocol import Venue

MARGIN = timedelta(seconds=5)


def earliest(moment: datetime, venue: Venue) -> datetime:
    """From when on the venue may have dated what we sent at a `moment` of the desk's clock.

    Where the venue's clock is behind ours that is earlier by so much. Never later than `moment`: which of the clocks
    was right then is not known.

    Raises: VenueError.
    """
    told = datetime.fromtimestamp(venue.stamp() / 1000, tz=UTC)
    return moment + min(told - clock.of("desk").now(), timedelta(0)) - MARGIN
