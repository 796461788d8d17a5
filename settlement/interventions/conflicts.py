"""What people may do about an order that was kept aside: keep what the desk holds, or take in what it has not.

An order that the desk holds under this id is never replaced: within a second of its coming it is settled, and what is
settled cannot be taken back. If counter holds the other content after all, invariants 3 and 6 go on saying so.
"""

import hashlib
from datetime import datetime

import msgspec

from acceptance.intake import ingest
from acceptance.models import AcceptedOrder, Conflict
from acceptance.validity import can_be_settled
from counter.contracts import SyncEvent, encode
from settlement.history import MovedMeanwhile
from settlement.interventions.operations import OPEN, Deed, Operation
from settlement.interventions.terms import Refused, Terms
from settlement.models import Intervention
from settlement.models.history import Subject

Kind = Intervention.Kind


def _can_be_taken_in(row: Conflict, terms: Terms, now: datetime) -> None:
    if row.reason == Conflict.Reason.OTHER_CONTENT:
        raise Refused("the desk holds an order under this id, and what is settled cannot be taken back")
    event = _event(row)
    if not can_be_settled(event):
        raise Refused(
            "it still cannot be settled: another version, coin, source or amount than the desk knows"
        )
    held = AcceptedOrder.objects.filter(source=event.source, order_id=event.order_id).first()
    if held is not None and any(
        getattr(held, name) != getattr(event, name) for name in ("kind", "coin", "fair")
    ):
        raise Refused("the desk holds another order under this id")


def _event(row: Conflict) -> SyncEvent:
    """The event as it came. Raises: Refused when what was kept of it is not all of it."""
    try:
        event = msgspec.convert(row.received, SyncEvent)
    except msgspec.ValidationError as error:
        raise Refused(f"it cannot be read: {error}") from error
    if hashlib.sha256(encode(event)).hexdigest() != row.digest:
        raise Refused("it was not stored exactly as it came")
    return event


def _resolve(deed: Deed) -> None:
    resolved = Conflict.objects.filter(pk=deed.row.pk, resolved_at__isnull=True).update(
        resolved_at=deed.now, resolution=f"{deed.by}: {deed.why}"
    )
    if not resolved:
        raise MovedMeanwhile(f"conflict {deed.row.pk} is resolved already")


def _take_in(deed: Deed) -> None:
    taken = ingest(events=[_event(deed.row)], door=AcceptedOrder.Door.IMPORT, now=deed.now)
    if not taken.stored:
        raise Refused("the desk holds another order under this id")
    _resolve(deed)


OPERATIONS = (
    Operation(
        kind=Kind.KEEP_OURS,
        subject=Subject.CONFLICT,
        title="Keep ours",
        does="Nothing changes: what the desk holds under this id stands, and what came is not taken in. If counter "
        "holds what came, the audit goes on saying so.",
        states=(OPEN,),
        apply=_resolve,
    ),
    Operation(
        kind=Kind.TAKE_THEIRS,
        subject=Subject.CONFLICT,
        title="Take theirs in",
        does="The order is taken in as it came, by the same door as any other, and converted with the next ones.",
        states=(OPEN,),
        check=_can_be_taken_in,
        apply=_take_in,
    ),
)
