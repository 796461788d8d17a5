"""Working a coin off: round after round of netting, converting and booking, while orders wait.

One round at a time for each coin, so that what arrives during a round becomes the next one, and each round is booked
before the next is planned, so that it nets what the last one carried over.
"""

import time
from dataclasses import dataclass

from django.utils import timezone

from acceptance.intake import converting
from config.leader import exclusive
from settlement import balancing, conversion
from settlement.models import Conversion
from settlement.venues.protocol import Venue, VenueError

# Counter hears of settlements after the rounds: they end soon enough that it does not wait for the last order.
ROUNDS_FOR_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Worked:
    """How many rounds were booked, and whether orders are left that somebody should be called for."""

    rounds: int
    orders_left: bool


def work_off(*, underlying: str, venue: Venue) -> Worked:
    """Convert and book what waits for a coin, unless somebody is at it: he looks again when he is done.

    Raises: VenueError when prices or balances cannot be had for the first round; nothing was begun then.
    """
    rounds, gave_back = 0, False
    with exclusive(converting(underlying), using="desk") as alone:
        if not alone:
            return Worked(0, orders_left=False)
        ends_at = time.monotonic() + ROUNDS_FOR_SECONDS
        while time.monotonic() < ends_at:
            try:
                made = _round(underlying, venue)
            except VenueError:
                if not rounds:
                    raise
                break
            if made is None or made.state not in (Conversion.State.FILLED, Conversion.State.BOOKED):
                # What was given back waits for the sweep, lest it be tried again without a pause.
                gave_back = made is not None and made.state == Conversion.State.MISSED
                break
            rounds += 1
    # Looked at only after the lock is free: whoever came while it was held has left his orders to this.
    return Worked(rounds, orders_left=not gave_back and conversion.orders_wait(underlying))


def _round(underlying: str, venue: Venue) -> Conversion | None:
    # What arrives in the pause goes along: the busier the venue's allowance, the larger the batches.
    time.sleep(venue.pace_seconds())
    made = conversion.convert_waiting(underlying=underlying, venue=venue, now=timezone.now())
    if made is not None and made.state == Conversion.State.FILLED:
        balancing.book(made, now=timezone.now())
    return made
