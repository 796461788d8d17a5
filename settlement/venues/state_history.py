"""Moves conversions and transfers through their states, with a history row for each step, and stores venue calls."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction

from infra.db.rows import insert
from infra.db.transitions import move
from infra.observability import correlation
from settlement.models import (
    Attempt,
    ClearingPayment,
    Conversion,
    FundsTransfer,
    Intervention,
    ReconciliationBreak,
    StateChange,
)
from settlement.models.history import Subject
from settlement.venues.error_table import Verdict
from settlement.venues.protocol import VenueError

Traced = Conversion | FundsTransfer | Intervention | ReconciliationBreak | ClearingPayment
SUBJECTS: dict[type[Traced], Subject] = {
    Conversion: Subject.CONVERSION,
    FundsTransfer: Subject.FUNDS_TRANSFER,
    Intervention: Subject.INTERVENTION,
    ReconciliationBreak: Subject.BREAK,
    ClearingPayment: Subject.CLEARING_PAYMENT,
}
RAW_ANSWER_CHARACTERS = 20_000
NAME_CHARACTERS = 64


class MovedMeanwhile(Exception):
    """The row has changed since it was read; somebody else has taken care of it."""


def subject_of(row: Traced) -> Subject:
    """How history names this kind of row."""
    return SUBJECTS[type(row)]


def begin(row: Traced, *, at: datetime, by: str) -> None:
    """Store a new row in its first state and note that it came into being; joins the caller's transaction."""
    row.save(force_insert=True)
    insert([note(row, "", row.state, at, by, "")])


def create(row: Traced, transition: Any, *, at: datetime, by: str, why: str = "", **changes: Any) -> None:
    """Store a new row as its first transition and `changes` leave it; note that it came into being and that it moved.

    Joins the caller's transaction.

    Raises: TransitionNotAllowed when no such transition leads out of the row's state.
    """
    notes = first_moves(row, transition, at=at, by=by, why=why, **changes)
    row.save(force_insert=True)
    for each in notes:
        each.subject_id = row.pk
    insert(notes)
    tell(row, notes[-1].from_state, by, why)


def first_moves(
    row: Traced, transition: Any, *, at: datetime, by: str, why: str = "", **changes: Any
) -> list[StateChange]:
    """Have a new row show its first transition and `changes`; the history of both, under the key it has, to be stored.

    Raises: TransitionNotAllowed when no such transition leads out of the row's state.
    """
    planned = row.state
    show(row, transition, changes)
    return [note(row, "", planned, at, by), note(row, planned, row.state, at, by, why)]


@contextmanager
def moving(row: Traced, *, at: datetime, by: str, why: str = "") -> Iterator[None]:
    """Lock a row as it was read; the block calls one of its transitions; what has changed is stored, and noted.

    Joins the caller's transaction or makes one.

    Raises: MovedMeanwhile, before the block, when somebody has touched the row since it was read.
    """
    # No savepoint: a larger transaction is undone as a whole when the row has moved.
    with transaction.atomic(using="desk", savepoint=False):
        untouched = type(row).objects.select_for_update().filter(pk=row.pk, version=row.version)
        if untouched.filter(state=row.state).values_list("pk").first() is None:
            raise _moved_meanwhile(row)
        before = _columns(row)
        yield
        if row.state == before["state"]:
            raise RuntimeError(f"{subject_of(row)} {row.pk} was not moved")
        row.version += 1
        changed = [name for name, value in _columns(row).items() if value != before[name]]
        row.save(using="desk", update_fields=changed)
        insert([note(row, before["state"], row.state, at, by, why)])
        tell(row, before["state"], by, why)


def advance(row: Traced, transition: Any, *, at: datetime, by: str, why: str = "", **changes: Any) -> None:
    """Move one row in one statement, if nobody has touched it since it was read, and note it: where rounds are worked.

    Joins the caller's transaction or makes one; `row` then shows the new state, version and changes.

    Raises: MovedMeanwhile.
    """
    from_state = row.state
    # No savepoint: a larger transaction is undone as a whole when the row has moved.
    with transaction.atomic(using="desk", savepoint=False):
        as_read = {"version": row.version, "state": from_state}
        if not move(type(row), transition, [row.pk], same=changes, where=as_read):
            raise _moved_meanwhile(row)
        show(row, transition, changes)
        insert([note(row, from_state, row.state, at, by, why)])
        tell(row, from_state, by, why)


def _columns(row: Traced) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _moved_meanwhile(row: Traced) -> MovedMeanwhile:
    return MovedMeanwhile(f"{subject_of(row)} {row.pk} is no longer {row.state} at version {row.version}")


def tell(row: Traced, from_state: str, by: str, why: str = "") -> None:
    """A line about the move that the row shows, once it is committed."""
    subject = {str(subject_of(row)): row.pk}
    correlation.tell(
        "moved", using="desk", from_state=from_state, to_state=row.state, by=by, why=why, **subject
    )


def show(row: Traced, transition: Any, changes: Mapping[str, Any]) -> None:
    """Have the row show a transition, and what is stored with it.

    Raises: TransitionNotAllowed when it does not lead out of the row's state.
    """
    transition(row)
    row.version += 1
    for name, value in changes.items():
        setattr(row, name, value)


def note(row: Traced, from_state: str, to_state: str, at: datetime, by: str, why: str = "") -> StateChange:
    """The history of one move, to be stored."""
    return StateChange(
        subject=subject_of(row),
        subject_id=row.pk,
        from_state=from_state,
        to_state=to_state,
        at=at,
        by=by[:NAME_CHARACTERS],
        why=why,
    )


def begin_attempt(row: Traced, call: Attempt.Call, request: Mapping[str, Any], *, at: datetime) -> Attempt:
    """Store a venue call before it is made."""
    attempt = new_attempt(row, call, request, at=at)
    attempt.save(force_insert=True)
    return attempt


def new_attempt(row: Traced, call: Attempt.Call, request: Mapping[str, Any], *, at: datetime) -> Attempt:
    """A venue call that is to be stored before it is made."""
    return Attempt(
        request_id=uuid4(),
        follow="",
        venue=settings.VENUE,
        subject=subject_of(row),
        subject_id=row.pk,
        call=call,
        request=json.loads(json.dumps(request, default=str)),
        sent_at=at,
    )


def end_attempt(attempt: Attempt, *, outcome: str, code: str, answer: str, at: datetime) -> None:
    """Store what came back."""
    answer_attempt(attempt, outcome=outcome, code=code, answer=answer, at=at)
    store_answer(attempt)


def store_answer(attempt: Attempt) -> None:
    """Store what an attempt shows of its answer."""
    attempt.save(update_fields=["outcome", "follow", "code", "http_status", "answer", "answered_at"])


def answer_attempt(attempt: Attempt, *, outcome: str, code: str, answer: str, at: datetime) -> None:
    """What came back, to be stored."""
    attempt.outcome, attempt.code = outcome, code[:64]
    attempt.answer, attempt.answered_at = answer[:RAW_ANSWER_CHARACTERS], at


def end_failed_attempt(attempt: Attempt, error: VenueError, verdict: Verdict, *, at: datetime) -> None:
    """Store what was heard instead of an answer, and what the error table says of it."""
    attempt.follow, attempt.http_status = verdict.follow, error.status
    code = f"{error.kind} {error.code}".strip()
    end_attempt(attempt, outcome=verdict.outcome, code=code, answer=error.raw or str(error), at=at)
