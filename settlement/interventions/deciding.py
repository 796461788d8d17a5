"""Asking for an operation, and deciding: alone where nothing is booked, by two people where it is.

Guards: a request is bound to its row's state and version and void once that has moved; the requester cannot approve, by
a constraint of the database too; approving checks all again and does it in one transaction under the request's lock.
"""

from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction

from infra.db.decisions import Person
from infra.db.lifecycles import moves
from settlement.interventions import breaks, conflicts, conversions, effects, holds, orders, transfers
from settlement.interventions.effects import Effects
from settlement.interventions.operations import SUBJECTS, Deed, Operation, Row, state_of
from settlement.interventions.terms import Refused, Terms, as_given, as_stored
from settlement.models import Intervention
from settlement.models.history import Subject
from settlement.venues import state_history
from settlement.venues.protocol import Venue
from settlement.venues.state_history import MovedMeanwhile

log = structlog.get_logger(__name__)

OPERATIONS: dict[tuple[str, str], Operation] = {
    (operation.subject, operation.kind): operation
    for operation in (
        *conversions.OPERATIONS,
        *transfers.OPERATIONS,
        *conflicts.OPERATIONS,
        *breaks.OPERATIONS,
        *orders.OPERATIONS,
        *holds.OPERATIONS,
    )
}
MOVED = "the row has moved since it was looked at"


def operations_on(row: Row) -> list[Operation]:
    """The operations that its state allows."""
    state, _ = state_of(row)
    return [
        operation
        for operation in OPERATIONS.values()
        if SUBJECTS[operation.subject] is type(row) and state in operation.states
    ]


def operation_of(intervention: Intervention) -> Operation:
    """What an intervention is about."""
    return OPERATIONS[intervention.subject, intervention.kind]


def row_of(intervention: Intervention) -> Row:
    """The row that an intervention is about, as it is now."""
    return SUBJECTS[Subject(intervention.subject)].objects.get(pk=intervention.subject_id)


def has_moved(intervention: Intervention) -> bool:
    """Whether its row is no longer what was asked about."""
    return state_of(row_of(intervention)) != (intervention.subject_state, intervention.subject_version)


def waiting_for(subject: Subject, subject_id: int) -> Intervention | None:
    """The request about a row that waits for its decision."""
    return Intervention.objects.filter(
        subject=subject, subject_id=subject_id, state=Intervention.State.REQUESTED
    ).first()


def preview(*, operation: Operation, row_id: int, terms: Terms, now: datetime) -> Effects:
    """What the operation would change in the books now; nothing is changed. Raises: Refused."""
    row = _allowed(operation, SUBJECTS[operation.subject].objects.get(pk=row_id), terms, now)
    try:
        return effects.of(operation, Deed(row, terms, 0, "preview", "preview", now))
    except MovedMeanwhile as error:
        raise Refused(MOVED) from error


def ask(*, operation: Operation, row_id: int, terms: Terms, venue: Venue, now: datetime) -> str:
    """What the venue says to it, outside of any transaction. Raises: Refused when that contradicts."""
    return operation.ask(SUBJECTS[operation.subject].objects.get(pk=row_id), terms, venue, now)


def request(
    *,
    operation: Operation,
    row_id: int,
    seen: tuple[str, int],
    terms: Terms,
    reason: str,
    evidence: str,
    by: Person,
    venue: Venue,
    now: datetime,
) -> Intervention:
    """Ask for an operation on a row that was `seen` in a state and version; what needs one person only is done.

    Raises: Refused.
    """
    if not reason.strip():
        raise Refused("a reason is needed")
    if operation.needs_two and not evidence.strip():
        raise Refused("evidence is needed")
    ask(operation=operation, row_id=row_id, terms=terms, venue=venue, now=now)
    made = Intervention(
        kind=operation.kind,
        subject=operation.subject,
        subject_id=row_id,
        subject_state=seen[0],
        subject_version=seen[1],
        terms=as_stored(terms),
        reason=reason.strip(),
        evidence=evidence.strip(),
        requested_by_id=by.id,
        requested_by=by.name,
        requested_at=now,
    )
    try:
        with transaction.atomic(using="desk"):
            row = _allowed(operation, _locked(operation, row_id), terms, now)
            if state_of(row) != seen:
                raise Refused(MOVED)
            _make_room(made, by, now)
            state_history.begin(made, at=now, by=by.name)
            if not operation.needs_two:
                _do(operation, made, row, terms, by, "", now)
    except (IntegrityError, MovedMeanwhile) as error:
        raise Refused(MOVED) from error
    log.warning("intervention", intervention=made.pk, state=made.state, what=str(made), by=by.name)
    return made


def carry_out(
    *,
    operation: Operation,
    row_id: int,
    seen: tuple[str, int],
    reason: str,
    evidence: str,
    asked_by: Person,
    asked_at: datetime,
    by: Person,
    note: str,
    venue: Venue,
    now: datetime,
    mark: Callable[[Intervention], None],
) -> Intervention:
    """Do, with all its checks, what two people have decided of many rows at once; `mark` is part of the transaction.

    Raises: Refused, with nothing changed.
    """
    terms = Terms()
    word = ask(operation=operation, row_id=row_id, terms=terms, venue=venue, now=now)
    made = Intervention(
        kind=operation.kind,
        subject=operation.subject,
        subject_id=row_id,
        subject_state=seen[0],
        subject_version=seen[1],
        reason=reason,
        evidence=evidence,
        requested_by_id=asked_by.id,
        requested_by=asked_by.name,
        requested_at=asked_at,
    )
    try:
        with transaction.atomic(using="desk"):
            row = _locked(operation, row_id)
            if state_of(row) != seen:
                raise Refused(MOVED)
            _allowed(operation, row, terms, now)
            _make_room(made, by, now)
            state_history.begin(made, at=now, by=asked_by.name)
            _do(operation, made, row, terms, by, "; ".join(part for part in (note, word) if part), now)
            mark(made)
    except (IntegrityError, MovedMeanwhile) as error:
        raise Refused(MOVED) from error
    return made


def approve(*, intervention_id: int, by: Person, note: str, venue: Venue, now: datetime) -> Intervention:
    """Do what somebody else has asked for, if its row has not moved since; else the request is void.

    Raises: Refused, and the request stays as it is unless it was void.
    """
    waiting = _waiting(Intervention.objects.get(pk=intervention_id))
    if waiting.requested_by_id == by.id:
        raise Refused("another person has to approve it")
    operation = operation_of(waiting)
    terms = as_given(operation.terms, waiting.terms)
    word = ""
    if not has_moved(waiting):
        word = ask(operation=operation, row_id=waiting.subject_id, terms=terms, venue=venue, now=now)
    decision = "; ".join(part for part in (note.strip(), word) if part)
    try:
        with transaction.atomic(using="desk"):
            # The row first, as asking does: it voids a waiting request while it holds its row.
            row = _locked(operation, waiting.subject_id)
            made = _waiting(Intervention.objects.select_for_update().get(pk=intervention_id))
            if state_of(row) != (made.subject_state, made.subject_version):
                _void(made, by, MOVED, now)
            else:
                _do(operation, made, _allowed(operation, row, terms, now), terms, by, decision, now)
    except (IntegrityError, MovedMeanwhile) as error:
        raise Refused(
            str(error) if isinstance(error, MovedMeanwhile) else "something of it is there already"
        ) from error
    log.warning("intervention decided", intervention=made.pk, state=made.state, what=str(made), by=by.name)
    if made.state == Intervention.State.VOID:
        raise Refused(f"{MOVED}: the request is void")
    return made


@moves(Intervention.reject)
def reject(*, intervention_id: int, by: Person, note: str, now: datetime) -> Intervention:
    """Say no to what somebody else has asked for; the requester withdraws it. Raises: Refused."""
    if not note.strip():
        raise Refused("a reason is needed")
    with transaction.atomic(using="desk"):
        made = _waiting(Intervention.objects.select_for_update().get(pk=intervention_id))
        if made.requested_by_id == by.id:
            _void(made, by, f"withdrawn: {note.strip()}", now)
        else:
            _decide(made, Intervention.reject, by, note.strip(), now)
    return made


@moves(Intervention.apply)
def _do(
    operation: Operation,
    made: Intervention,
    row: Row,
    terms: Terms,
    by: Person,
    decision: str,
    now: datetime,
) -> None:
    asked = f", asked for by {made.requested_by}" if made.requested_by_id != by.id else ""
    why = f"intervention {made.pk}{asked}: {made.reason}"
    operation.apply(Deed(row, terms, made.pk, by.name, why, now))
    _decide(made, Intervention.apply, by, decision, now)


def _make_room(made: Intervention, by: Person, now: datetime) -> None:
    """One request at a time waits for a row; one that is void, or will be by this, makes room. Raises: Refused."""
    waiting = waiting_for(Subject(made.subject), made.subject_id)
    if waiting is None:
        return
    if has_moved(waiting):
        _void(waiting, by, MOVED, now)
    elif made.kind in Intervention.ALONE:
        _void(waiting, by, f"{made.get_kind_display().lower()} came first", now)
    else:
        raise Refused(f"intervention {waiting.pk} waits for its decision")


def _decide(
    made: Intervention, step: Callable[[Intervention], None], by: Person, decision: str, now: datetime
) -> None:
    with state_history.moving(made, at=now, by=by.name, why=decision):
        made.sign(by, decision, at=now)
        step(made)


@moves(Intervention.void)
def _void(made: Intervention, by: Person, why: str, now: datetime) -> None:
    _decide(made, Intervention.void, by, why, now)


def _waiting(made: Intervention) -> Intervention:
    if made.state != Intervention.State.REQUESTED:
        raise Refused(f"it was decided by {made.decided_by}: {made.state}")
    return made


def _locked(operation: Operation, row_id: int) -> Row:
    return SUBJECTS[operation.subject].objects.select_for_update().get(pk=row_id)


def _allowed(operation: Operation, row: Row, terms: Terms, now: datetime) -> Row:
    """The row, if its state and the terms allow the operation. Raises: Refused."""
    state, _ = state_of(row)
    if state not in operation.states:
        raise Refused(f"{operation.title} is for {', '.join(operation.states)}; it is {state}")
    operation.check(row, terms, now)
    return row
