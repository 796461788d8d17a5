"""What people may do about an order that the desk holds and counter never placed: disown it."""

from datetime import datetime

from django.conf import settings

from acceptance.models import AcceptedOrder
from settlement.interventions import disowning
from settlement.interventions.disowning import CounterSilent
from settlement.interventions.operations import Deed, Operation
from settlement.interventions.terms import Refused, Terms, Unanswered
from settlement.models import Intervention
from settlement.models.history import Subject
from settlement.venues.protocol import Venue

State = AcceptedOrder.State


def _is_nobodys(row: AcceptedOrder, terms: Terms, venue: Venue, now: datetime) -> str:
    """Counter has to say itself that it has no such order. Raises: Refused."""
    if row.source != settings.COUNTER_SOURCE:
        return "it is of another source"
    try:
        theirs = disowning.at_counter(row.order_id)
    except CounterSilent as silence:
        raise Unanswered(str(silence)) from silence
    if theirs is not None:
        raise Refused("counter has an order under this id: if it is another one, decide its conflict")
    return "counter has no order under this id"


def _disown(deed: Deed) -> None:
    disowning.disown(deed.row, now=deed.now)


OPERATIONS = (
    Operation(
        kind=Intervention.Kind.DISOWN,
        subject=Subject.ORDER,
        title="Disown",
        does="For an order that counter does not have: a forged one, or one that a restored counter has forgotten. "
        "It is no longer converted or reported. What was converted for it stays; what counter would owe, and the "
        "option's coin, go to the account suspense.",
        states=(State.RECEIVED, State.SETTLED, State.REPORTED),
        ask=_is_nobodys,
        apply=_disown,
    ),
)
