"""What people may do about a restored desk that is held because something cannot be proven: let it go on without it.

Which conversions cannot be proven is said by the desk itself, each time anew; the two people name them, so that nothing
is given up that came up after they looked.
"""

from datetime import datetime
from functools import partial

from acceptance.counter_client import CounterError
from infra.broker.dispatcher import dispatcher
from infra.db.after_commit import after_commit
from settlement.interventions.operations import OPEN, Deed, Operation
from settlement.interventions.terms import HoldTerms, Refused
from settlement.models import Intervention, VenueHalt
from settlement.models.history import Subject
from settlement.restore import hold
from settlement.venues.halts import RESTORED
from settlement.venues.protocol import Venue, VenueError


def _is_a_hold(row: VenueHalt, terms: HoldTerms, now: datetime) -> None:
    if row.reason != RESTORED:
        raise Refused("it is no hold of a restored desk: a halt ends by itself, or is lifted in the list")
    if not terms.conversions:
        raise Refused("the conversions that cannot be proven are needed")


def _are_unproven(row: VenueHalt, terms: HoldTerms, venue: Venue, now: datetime) -> str:
    """All that can be entered is entered first, as manage.py after_restore does. Raises: Refused."""
    try:
        found = hold.remember(venue=venue, now=now)
    except (VenueError, CounterError) as error:
        raise Refused(f"not all could be asked: {error}") from error
    if proven := sorted(set(terms.conversions) - set(found.unproven)):
        numbers = ", ".join(map(str, proven))
        raise Refused(f"{numbers} can be proven, or nobody was told of: not to be given up")
    return f"left: {'; '.join(found.left)}"


def _go_on(deed: Deed) -> None:
    """The request itself is what the desk goes by from now on, also if it is cut off in the middle."""
    after_commit(partial(dispatcher.send, [("settlement.remember", [])]), using="desk")


OPERATIONS = (
    Operation(
        kind=Intervention.Kind.END_HOLD,
        subject=Subject.HALT,
        title="Go on without proof",
        does="For a restored desk that stays held because counter was told of conversions that the venue's trades do "
        "not give. Those named here are entered as far as the trades go: with an order at the price that counter was "
        "told, if there is one, else without, their coin carried to the next conversion. What counter was told "
        "otherwise shows as a break of clearing. Nothing is sent again for them, and the desk is let go once nothing "
        "else is left.",
        states=(OPEN,),
        terms=HoldTerms,
        check=_is_a_hold,
        ask=_are_unproven,
        apply=_go_on,
    ),
)
