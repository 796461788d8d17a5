"""Many rows of one kind ended by one decision of two people: asked for with a list, carried out row by row.

Guards: each row is an intervention of its own, with all its checks, in a transaction that also marks it as ended; so a
batch that is cut off goes on where it was, and two that carry it out at once do nothing twice. A row that has moved, or
that counter or the venue speaks against, is refused and stays for people.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.db import transaction

from infra.broker.dispatcher import dispatcher
from infra.db.after_commit import after_commit
from infra.db.decisions import Person
from infra.db.lifecycles import moves
from settlement.interventions import deciding
from settlement.interventions.operations import SUBJECTS, Operation, state_of
from settlement.interventions.terms import Refused, Terms, Unanswered
from settlement.models import Batch, BatchRow, Intervention
from settlement.models.history import Subject
from settlement.venues.protocol import Venue

log = structlog.get_logger(__name__)

MAX_ROWS = 5000
CHUNK = 200  # rows that one task carries out: others have their turn after it
TASK: list[tuple[str, list[Any]]] = [("settlement.carry_out", [])]


def operations_for(subject: Subject) -> list[Operation]:
    """What can be asked for of many rows: what needs nothing said of each."""
    return [each for each in deciding.OPERATIONS.values() if each.subject == subject and each.terms is Terms]


def request(
    *, operation: Operation, rows: Iterable[Any], reason: str, evidence: str, by: Person, now: datetime
) -> Batch:
    """Ask for an operation on many rows, as they are now; those whose state does not allow it are left out.

    Raises: Refused.
    """
    if not reason.strip() or not evidence.strip():
        raise Refused("a reason and evidence are needed")
    seen = [(row.pk, *state_of(row)) for row in rows]
    fitting = [each for each in seen if each[1] in operation.states]
    if not 0 < len(fitting) <= MAX_ROWS:
        raise Refused(f"{len(fitting)} of {len(seen)} rows fit; at most {MAX_ROWS} at once, and at least one")
    with transaction.atomic(using="desk"):
        made = Batch.objects.create(
            kind=operation.kind,
            subject=operation.subject,
            size=len(fitting),
            reason=reason.strip(),
            evidence=evidence.strip(),
            requested_by_id=by.id,
            requested_by=by.name,
            requested_at=now,
        )
        BatchRow.objects.bulk_create(
            BatchRow(batch=made, subject_id=pk, subject_state=state, subject_version=version)
            for pk, state, version in fitting
        )
    log.warning("batch requested", batch=made.pk, what=str(made), by=by.name)
    return made


@moves(Batch.run)
def approve(*, batch_id: int, by: Person, note: str, now: datetime) -> Batch:
    """Have it carried out. Raises: Refused."""
    with transaction.atomic(using="desk"):
        made = _waiting(batch_id)
        if made.requested_by_id == by.id:
            raise Refused("another person has to approve it")
        made = _decide(made, Batch.run, by, note.strip(), now)
        after_commit(partial(dispatcher.send, TASK), using="desk")
    log.warning("batch approved", batch=made.pk, what=str(made), by=by.name)
    return made


@moves(Batch.reject)
def reject(*, batch_id: int, by: Person, note: str, now: datetime) -> Batch:
    """Say no to it; the requester withdraws it. Raises: Refused."""
    if not note.strip():
        raise Refused("a reason is needed")
    with transaction.atomic(using="desk"):
        return _decide(_waiting(batch_id), Batch.reject, by, note.strip(), now)


def is_running() -> bool:
    """Whether one has rows to be carried out."""
    return Batch.objects.filter(state=Batch.State.RUNNING).exists()


def carry_out(*, venue: Venue, clock: Callable[[], datetime], most: int = CHUNK) -> int:
    """Carry out the next rows of the oldest running batch; how many were ended.

    Fewer than `most`: nothing is left of it, or counter does not answer now, and it goes on with the next sweep.
    """
    made = Batch.objects.filter(state=Batch.State.RUNNING).order_by("id").first()
    if made is None:
        return 0
    rows = list(BatchRow.objects.filter(batch=made, ended_at__isnull=True).order_by("id")[:most])
    for ended, row in enumerate(rows):
        try:
            _carry_out_one(made, row, venue, clock())
        except Unanswered as silence:
            log.warning("batch waits", batch=made.pk, error=str(silence))
            return ended
    if not BatchRow.objects.filter(batch=made, ended_at__isnull=True).exists():
        _finish(made.pk, clock())
    return len(rows)


def _carry_out_one(made: Batch, row: BatchRow, venue: Venue, now: datetime) -> None:
    """Raises: Unanswered."""

    def mark(intervention: Intervention) -> None:
        _end(row, now, intervention_id=intervention.pk)

    operation = deciding.OPERATIONS[made.subject, made.kind]
    assert made.decided_by_id is not None  # noqa: S101 - a constraint says so
    try:
        if not SUBJECTS[operation.subject].objects.filter(pk=row.subject_id).exists():
            raise Refused("the row is gone")
        deciding.carry_out(
            operation=operation,
            row_id=row.subject_id,
            seen=(row.subject_state, row.subject_version),
            reason=f"batch {made.pk}: {made.reason}",
            evidence=made.evidence,
            asked_by=Person(made.requested_by_id, made.requested_by),
            asked_at=made.requested_at,
            by=Person(made.decided_by_id, made.decided_by),
            note=made.decision,
            venue=venue,
            now=now,
            mark=mark,
        )
    except Unanswered:
        raise
    except Refused as refusal:
        BatchRow.objects.filter(pk=row.pk, ended_at__isnull=True).update(ended_at=now, refusal=str(refusal))


def _end(row: BatchRow, now: datetime, *, intervention_id: int) -> None:
    """Raises: Refused when somebody else has ended it: the caller's transaction is undone."""
    ended = BatchRow.objects.filter(pk=row.pk, ended_at__isnull=True).update(
        ended_at=now, intervention_id=intervention_id
    )
    if not ended:
        raise Refused("it was carried out meanwhile")


@moves(Batch.end)
def _finish(batch_id: int, now: datetime) -> None:
    with transaction.atomic(using="desk"):
        made = Batch.objects.select_for_update().get(pk=batch_id)
        if made.state != Batch.State.RUNNING:
            return  # by another worker
        made.end(at=now)
        made.save(update_fields=["state", "done_at"])
    log.warning("batch done", batch=made.pk, what=str(made))


def _waiting(batch_id: int) -> Batch:
    made = Batch.objects.select_for_update().get(pk=batch_id)
    if made.state != Batch.State.REQUESTED:
        raise Refused(f"it was decided by {made.decided_by}: {made.state}")
    return made


def _decide(made: Batch, step: Callable[[Batch], None], by: Person, note: str, now: datetime) -> Batch:
    made.sign(by, note, at=now)
    step(made)
    made.save(update_fields=["state", *Batch.SIGNED])
    return made
