"""What people may do about an order that was kept aside: keep what the desk holds, or take in what came.

Counter is asked which of the two it has, and cannot be decided against. Where the desk holds an order that counter
never placed (a forged one, or one that a restored counter has forgotten), that one is disowned, and counter's own comes
in.
"""

import hashlib
from datetime import datetime

import msgspec

from acceptance.event_validation import can_be_settled
from acceptance.intake import CONTENT, ingest
from acceptance.models import AcceptedOrder, Conflict
from counter.contracts import SyncEvent, encode
from settlement.interventions import disowning
from settlement.interventions.disowning import CounterSilent
from settlement.interventions.operations import OPEN, Deed, Operation
from settlement.interventions.terms import Refused, Terms, Unanswered
from settlement.models import Intervention
from settlement.models.history import Subject
from settlement.venues.protocol import Venue
from settlement.venues.state_history import MovedMeanwhile

Kind = Intervention.Kind


def _can_be_taken_in(row: Conflict, terms: Terms, now: datetime) -> None:
    event = _event(row)
    if not can_be_settled(event):
        raise Refused(
            "it still cannot be settled: another version, coin, source or amount than the desk knows"
        )
    held = _held(event)
    if held is not None and held.state == AcceptedOrder.State.CONVERTING:
        raise Refused(
            f"the desk's order under this id is in conversion {held.conversion_id}: that has to end first"
        )


def _held(event: SyncEvent) -> AcceptedOrder | None:
    """What the desk holds under the event's id, if that is another order."""
    held = AcceptedOrder.objects.filter(source=event.source, order_id=event.order_id).first()
    if held is None or all(getattr(held, name) == getattr(event, name) for name in CONTENT):
        return None
    return held


def _event(row: Conflict) -> SyncEvent:
    """The event as it came. Raises: Refused when what was kept of it is not all of it."""
    try:
        event = msgspec.convert(row.received, SyncEvent)
    except msgspec.ValidationError as error:
        raise Refused(f"it cannot be read: {error}") from error
    if hashlib.sha256(encode(event)).hexdigest() != row.digest:
        raise Refused("it was not stored exactly as it came")
    return event


def _counter_has_it(row: Conflict, terms: Terms, venue: Venue, now: datetime) -> str:
    """Where an order of the desk would be disowned counter has to say that it has the other. Raises: Refused."""
    event = _event(row)
    if row.reason != Conflict.Reason.OTHER_CONTENT or _held(event) is None:
        return ""
    try:
        theirs = disowning.at_counter(row.order_id)
    except CounterSilent as silence:
        raise Unanswered(str(silence)) from silence
    if theirs != event:
        raise Refused("counter does not have what came: keep ours")
    return "counter has what came, and not what the desk holds"


def _counter_has_ours(row: Conflict, terms: Terms, venue: Venue, now: datetime) -> str:
    """A customer's real order is not to be left out. Raises: Refused."""
    if row.reason != Conflict.Reason.OTHER_CONTENT:
        return ""
    try:
        theirs = disowning.at_counter(row.order_id)
    except CounterSilent as silence:
        return str(silence)  # if it has it all the same, the pull brings it again and opens this again
    if theirs is not None and hashlib.sha256(encode(theirs)).hexdigest() == row.digest:
        raise Refused("counter has what came: take theirs in, or that customer's order is never settled")
    return "counter does not have what came"


def _resolve(deed: Deed) -> None:
    resolved = Conflict.objects.filter(pk=deed.row.pk, resolved_at__isnull=True).update(
        resolved_at=deed.now, resolution=f"{deed.by}: {deed.why}"
    )
    if not resolved:
        raise MovedMeanwhile(f"conflict {deed.row.pk} is resolved already")


def _take_in(deed: Deed) -> None:
    event = _event(deed.row)
    held = _held(event)
    if held is not None:
        disowning.disown(held, now=deed.now)
    taken = ingest(events=[event], door=AcceptedOrder.Door.IMPORT, now=deed.now)
    if not taken.stored:
        raise Refused("the desk holds another order under this id")
    _resolve(deed)


OPERATIONS = (
    Operation(
        kind=Kind.KEEP_OURS,
        subject=Subject.CONFLICT,
        title="Keep ours",
        does="Nothing changes: what the desk holds under this id stands, and what came is not taken in. Refused while "
        "counter has what came: that customer's order would never be settled.",
        states=(OPEN,),
        ask=_counter_has_ours,
        apply=_resolve,
    ),
    Operation(
        kind=Kind.TAKE_THEIRS,
        subject=Subject.CONFLICT,
        title="Take theirs in",
        does="The order is taken in as it came, by the same door as any other, and converted with the next ones. Where "
        "the desk holds another one under its id, which counter never placed, that one is disowned: what it came to "
        "goes to the account suspense.",
        states=(OPEN,),
        check=_can_be_taken_in,
        ask=_counter_has_it,
        apply=_take_in,
    ),
)
