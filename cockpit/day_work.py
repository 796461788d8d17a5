"""Having a day stated or closed by a worker: asked for on a page, done by a task, seen as it goes.

Guards: what was asked for is a row, so a worker that dies loses nothing, and the next run begins anew. Statement or
close and the end of the row are one transaction: there is no half of either, and no second one. What refuses a request
in the web refuses it again when it is done, for the books and the people are judged as they are then.
"""

from collections.abc import Callable
from datetime import date, datetime
from functools import partial

import structlog
from django.db import Error, IntegrityError, transaction

from cockpit import days, venue_statement
from cockpit.days import DayRefused
from cockpit.models import DayStatement, DayWork
from infra.broker.dispatcher import Steps, dispatcher
from infra.coordination.leader import exclusive
from infra.db.transient_errors import is_session_over, is_transient, leave_session
from settlement.venues.protocol import Venue

log = structlog.get_logger(__name__)

TASK: Steps = [("cockpit.work_on_days", [])]
Kind = DayWork.Kind
FAILED = "it failed, and would again: the program log says why"


def ask_statement(*, day: date, by: str, now: datetime) -> DayWork:
    """Have a day added up. The same that is already asked for is not asked for twice.

    Raises: DayRefused, as `days.state` would, or while the day is being closed; DatabaseError.
    """
    days.check_state(day, now=now)
    return _ask(DayWork(kind=Kind.STATE, day=day, asked_by=by, asked_at=now))


def ask_close(*, statement: DayStatement, by: str, now: datetime, note: str = "") -> DayWork:
    """Have a day closed by its newest statement, as a second person, with a note where one is needed.

    Raises: DayRefused, as `days.close` would before it adds the day up, or while it is stated anew; DatabaseError.
    """
    days.check_close(statement, by=by, note=note)
    return _ask(
        DayWork(
            kind=Kind.CLOSE,
            day=statement.day,
            statement=statement,
            asked_by=by,
            asked_at=now,
            note=note.strip(),
        )
    )


def under_way() -> dict[date, DayWork]:
    """What is asked for and not done, by day."""
    return {each.day: each for each in DayWork.objects.filter(ended_at__isnull=True)}


def latest(day: date) -> DayWork | None:
    """What was asked for last of a day."""
    return DayWork.objects.filter(day=day).order_by("-id").first()


def work_off(*, clock: Callable[[], datetime], venue: Venue) -> int:
    """Do what is asked for, unless another worker is at it; how much of it was ended. For a statement `venue` is asked.

    What a database cannot do now stays for the next run; what fails otherwise is ended with a reason, for it would
    fail again, and hold up the other days.
    """
    ended = 0
    with exclusive("days", using="default") as alone:
        if not alone:
            return 0
        for work in DayWork.objects.filter(ended_at__isnull=True).order_by("id"):
            try:
                _do(work, clock, venue)
            except Error as error:
                log.warning("a day waits", day=str(work.day), error=repr(error))
                leave_session(error)
                if is_session_over(error):
                    break
                continue
            ended += 1
    return ended


def _ask(work: DayWork) -> DayWork:
    try:
        with transaction.atomic():
            work.save(force_insert=True)
    except IntegrityError:
        found = DayWork.objects.filter(day=work.day, ended_at__isnull=True).first()
        if found is None or (found.kind, found.statement_id) != (work.kind, work.statement_id):
            raise DayRefused(f"{work.day} is being worked on: look again in a moment") from None
        work = found
    dispatcher.send(TASK)
    return work


def _do(work: DayWork, clock: Callable[[], datetime], venue: Venue) -> None:
    """Make it, or end it with the reason why not. Raises: Error that the next run need not meet."""
    try:
        _make(work, clock, venue)
    except DayRefused as refusal:
        log.info("a day was refused", day=str(work.day), why=str(refusal))
        _refuse(work, str(refusal), now=clock())
    except Exception as error:
        if is_transient(error):
            raise
        log.exception("a day failed", day=str(work.day))
        _refuse(work, FAILED, now=clock())


def _make(work: DayWork, clock: Callable[[], datetime], venue: Venue) -> None:
    note_step = partial(_note_step, work, clock)
    if work.kind == Kind.CLOSE:
        days.check_close(work.statement_of(), by=work.asked_by, note=work.note)
        content = days.add_up(work.day, note_step=note_step)
    else:
        days.check_state(work.day, now=clock())
        asking = partial(venue_statement.ask, work.day, venue=venue, now=clock())
        content = days.add_up(work.day, note_step=note_step, ask_venue=asking)
    _end(work, content, now=clock())


def _refuse(work: DayWork, why: str, *, now: datetime) -> None:
    DayWork.objects.filter(pk=work.pk, ended_at__isnull=True).update(ended_at=now, refusal=why)


def _note_step(work: DayWork, clock: Callable[[], datetime], step: int) -> None:
    """Tell those who look how far it is, and since when."""
    DayWork.objects.filter(pk=work.pk).update(step=step, stepped_at=clock())


def _end(work: DayWork, content: days.Content, *, now: datetime) -> None:
    """Keep the statement or the close, and that it was done, at once or not at all. Raises: DayRefused."""
    with transaction.atomic():
        row = DayWork.objects.select_for_update().get(pk=work.pk)
        if row.ended_at is not None:
            return
        if work.kind == Kind.CLOSE:
            days.enter_close(work.statement_of(), content, by=work.asked_by, now=now, note=work.note)
        else:
            row.statement = days.enter_statement(work.day, content, by=work.asked_by, now=now)
        row.ended_at, row.step = now, len(days.STEPS)
        row.save(update_fields=["statement", "ended_at", "step"])
