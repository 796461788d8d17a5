"""Moving conversions and transfers through their states, one row of history for each step; noting venue calls."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from config import trail
from config.rows import insert
from config.transitions import move, sources_and_target
from settlement.models import (
    Attempt,
    Conversion,
    FundsTransfer,
    Intervention,
    ReconciliationBreak,
    StateChange,
)
from settlement.models.history import Subject
from settlement.policy import Verdict
from settlement.venues.protocol import VenueError

Traced = Conversion | FundsTransfer | Intervention | ReconciliationBreak
SUBJECTS: dict[type[Traced], Subject] = {
    Conversion: Subject.CONVERSION,
    FundsTransfer: Subject.FUNDS_TRANSFER,
    Intervention: Subject.INTERVENTION,
    ReconciliationBreak: Subject.BREAK,
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
    insert([_note(row, "", row.state, at, by, "")])


def create(
    row: Traced, transition_method: Any, *, at: datetime, by: str, why: str = "", **changes: Any
) -> None:
    """Store a new row as its first transition and `changes` leave it; note that it came into being and that it moved.

    Joins the caller's transaction.

    Raises: ValueError when no such transition leads out of the row's state.
    """
    planned = row.state
    _, sources, target = sources_and_target(type(row), transition_method)
    if planned not in sources:
        raise ValueError(f"{transition_method.__name__} does not lead out of {planned}")
    _show(row, target, changes)
    row.save(force_insert=True)
    insert([_note(row, "", planned, at, by, ""), _note(row, planned, target, at, by, why)])
    _tell(row, planned, target, by, why)


def advance(
    row: Traced, transition_method: Any, *, at: datetime, by: str, why: str = "", **changes: Any
) -> None:
    """Move one row through a declared transition if nobody has touched it since it was read, and note it.

    Joins the caller's transaction or makes one; `row` then shows the new state, version and changes.

    Raises: MovedMeanwhile.
    """
    model = type(row)
    _, _, target = sources_and_target(model, transition_method)
    # No savepoint: whoever joins a larger transaction undoes all of it when the row has moved.
    with transaction.atomic(using="desk", savepoint=False):
        if not move(
            model,
            transition_method,
            [row.pk],
            same=changes,
            where={"version": row.version, "state": row.state},
        ):
            raise MovedMeanwhile(
                f"{subject_of(row)} {row.pk} is no longer {row.state} at version {row.version}"
            )
        insert([_note(row, row.state, target, at, by, why)])
        _tell(row, row.state, target, by, why)
    _show(row, target, changes)


def _tell(row: Traced, from_state: str, to_state: str, by: str, why: str) -> None:
    subject = {str(subject_of(row)): row.pk}
    trail.tell("moved", using="desk", from_state=from_state, to_state=to_state, by=by, why=why, **subject)


def _show(row: Traced, state: str, changes: Mapping[str, Any]) -> None:
    row.state = state
    row.version += 1
    for name, value in changes.items():
        setattr(row, name, value)


def _note(row: Traced, from_state: str, to_state: str, at: datetime, by: str, why: str) -> StateChange:
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
    return Attempt.objects.create(
        venue=settings.VENUE,
        subject=subject_of(row),
        subject_id=row.pk,
        call=call,
        request=json.loads(json.dumps(request, default=str)),
        sent_at=at,
    )


def end_attempt(attempt: Attempt, *, outcome: str, code: str, answer: str, at: datetime) -> None:
    """Store what came back."""
    attempt.outcome, attempt.code = outcome, code[:64]
    attempt.answer, attempt.answered_at = answer[:RAW_ANSWER_CHARACTERS], at
    attempt.save(update_fields=["outcome", "follow", "code", "http_status", "answer", "answered_at"])


def end_failed_attempt(attempt: Attempt, error: VenueError, verdict: Verdict, *, at: datetime) -> None:
    """Store what was heard instead of an answer, and what the error table says of it."""
    attempt.follow, attempt.http_status = verdict.follow, error.status
    code = f"{error.kind} {error.code}".strip()
    end_attempt(attempt, outcome=verdict.outcome, code=code, answer=error.raw or str(error), at=at)
