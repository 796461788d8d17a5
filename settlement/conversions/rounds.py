"""Working a coin off: round after round of netting, converting and booking, while orders wait.

What arrives during a round becomes the next one. While little of the venue's allowance is used a further round of the
coin begins beside the one that the venue works on (ROUNDS_IN_FLIGHT). Each claims what waits and is carried at that
moment: no order and no carry is in two, and what a round carries over is netted by the next one planned after it.
Orders that executed nothing are chased by the first round only.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass

from infra.broker.dispatcher import dispatcher
from infra.coordination import clock
from infra.coordination.leader import first_free
from settlement.conversions import balancing, chasing, coin_snapshot, converting
from settlement.conversions.chasing import Chase
from settlement.conversions.converting import PriceRanAway
from settlement.models import Conversion
from settlement.task_triggers import BALANCE, places
from settlement.venues import failures
from settlement.venues.halts import VenueHalted
from settlement.venues.protocol import Venue, VenueError

# Counter hears of settlements after the rounds: they end soon enough that it does not wait for the last order.
ROUNDS_FOR_SECONDS = 0.2
# More of the allowance is left to larger batches: a further round beside another sends more orders, not more coin.
FURTHER_BELOW_PERCENT = 75


@dataclass(frozen=True, slots=True)
class Worked:
    """How many rounds were booked, and whether orders or a large carry are left to call somebody for."""

    rounds: int
    orders_left: bool


def work_off(*, underlying: str, venue: Venue) -> Worked:
    """Convert and book what waits for a coin, unless as many rounds as may be are under way: each looks again when it
    is done.

    What executed nothing is tried again at once, within the bounds of `chasing`; beyond them, and when prices or
    balances cannot be had, the coin rests.

    Raises: VenueError when the venue is halted or prices or balances cannot be had for the first round; nothing was
    begun then.
    """
    names = places(underlying)
    with ExitStack() as held:
        name = held.enter_context(first_free(names, using="desk"))
        if name is None:
            return Worked(0, orders_left=False)
        place = names.index(name)
        if not place and venue.used_percent() >= FURTHER_BELOW_PERCENT:
            for further in names[1:]:  # no chain is sent for a round that would not begin
                held.enter_context(first_free([further], using="desk"))
        rounds, made = _rounds(underlying, venue, place)
    if made is None and place:
        # There was nothing, or it is the first round's, which was under way when this one began and looks after it.
        return Worked(rounds, orders_left=False)
    # Looked at only after the lock is free: orders that came while it was held are left to this. A carry that the last
    # round has left is large enough for another; one that a round could not do anything with is not.
    wait = converting.orders_wait if made is None else converting.needs_conversion
    return Worked(rounds, orders_left=wait(underlying, now=clock.of("desk").now()))


def _rounds(underlying: str, venue: Venue, place: int) -> tuple[int, Conversion | None]:
    """How many rounds were booked, and the conversion that was made last, None if there was nothing (more) to do."""
    rounds = 0
    chase: Chase | None = None
    made: Conversion | None = None
    ends_at = time.monotonic() + ROUNDS_FOR_SECONDS
    while chase is not None or time.monotonic() < ends_at:
        if place and venue.used_percent() >= FURTHER_BELOW_PERCENT:
            return rounds, None
        try:
            made = _round(underlying, venue, chase, place)
        except VenueError as error:
            _hold_back(underlying, venue, error)
            if not rounds and chase is None:
                raise
            break
        if made is not None and made.state == Conversion.State.MISSED:
            if rounds and chase is None:
                dispatcher.send(BALANCE)  # these need not wait for the tries
            chase = chasing.after_miss(chase, made)
            if place:
                break
            if chase.over:
                chasing.rest(underlying, why=f"{chase.over}: {made.reason}", now=clock.of("desk").now())
                break
        elif made is None or made.state not in (Conversion.State.FILLED, Conversion.State.BOOKED):
            break
        else:
            rounds, chase = rounds + 1, None
            if made.state == Conversion.State.FILLED:
                dispatcher.send(
                    BALANCE
                )  # which books it at the second try, with no chain behind this one too
            if not coin_snapshot.anything_waits(underlying):
                break
    return rounds, made


def _hold_back(underlying: str, venue: Venue, error: VenueError) -> None:
    """Try the coin again when that is due: after the halt that stands or that a refused question begins, or a rest."""
    if isinstance(error, VenueHalted):
        return
    now = clock.of("desk").now()
    if isinstance(error, PriceRanAway) or not failures.halt_if_refused(
        error, venue=venue.name, underlying=underlying, now=now
    ):
        chasing.rest(underlying, why=str(error), now=now)


def _round(underlying: str, venue: Venue, chase: Chase | None, place: int) -> Conversion | None:
    # What arrives in the pause goes along: the busier the venue's allowance, the larger the batches.
    time.sleep(venue.pace_seconds())
    made = converting.convert_waiting(
        underlying=underlying, venue=venue, now=clock.of("desk").now(), chase=chase, place=place, books=True
    )
    if made is not None and made.state == Conversion.State.FILLED:
        balancing.book_or_say_why_not(made, now=clock.of("desk").now())
    return made
