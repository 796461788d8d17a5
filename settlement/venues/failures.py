"""A call to the venue that failed: its answer is stored with the error table's verdict, for every call."""

from datetime import datetime

import structlog

from settlement.models import Attempt, Conversion
from settlement.venues import error_table, halts, state_history
from settlement.venues.ccxt_errors import words_of
from settlement.venues.error_table import Answer, Follow, Outcome, Scope, Verdict
from settlement.venues.protocol import VenueError

log = structlog.get_logger(__name__)

QUESTIONS = (Attempt.Call.ASK, Attempt.Call.ASK_TRANSFER)
LOOKED_BACK = 40  # attempts of all coins


def take(attempt: Attempt, error: VenueError, *, now: datetime, underlying: str = "") -> Verdict:
    """Store what was heard and judge it; halt what the no concerns when that follows: the coin `underlying`, or the
    venue, which is also halted when it has failed too often in a row."""
    answer = answer_of(error, venue=attempt.venue, to_question=attempt.call in QUESTIONS)
    heard = f"{error.kind} {error.code}".strip()
    verdict = _of_all_orders(attempt, error_table.TABLE.judge(answer), heard, underlying)
    state_history.end_failed_attempt(attempt, error, verdict, at=now)
    log.warning(
        "venue call failed",
        request=str(attempt.request_id),
        call=attempt.call,
        subject=f"{attempt.subject} {attempt.subject_id}",
        heard=attempt.code,
        outcome=verdict.outcome.value,
        follow=verdict.follow.value,
        scope=verdict.scope.value,
    )
    if verdict.follow is Follow.HALT:
        _halt(attempt.venue, verdict, error, heard, now, underlying)
    else:
        halts.begin_if_failing(venue=attempt.venue, now=now)
    return verdict


def halt_if_refused(error: VenueError, *, venue: str, underlying: str, now: datetime) -> bool:
    """Halt what a question was refused for that belongs to no attempt (a price, a balance), if the table says so."""
    verdict = error_table.TABLE.judge(answer_of(error, venue=venue, to_question=True))
    if verdict.follow is not Follow.HALT:
        return False
    _halt(venue, verdict, error, f"{error.kind} {error.code}".strip(), now, underlying)
    return True


def answer_of(error: VenueError, *, venue: str, to_question: bool) -> Answer:
    """What the table judges."""
    return Answer(
        venue=venue,
        kind=error.kind,
        code=error.code,
        status=error.status,
        to_question=to_question,
        message=words_of(error.raw),
    )


def _halt(
    venue: str, verdict: Verdict, error: VenueError, heard: str, now: datetime, underlying: str
) -> None:
    halts.begin(
        venue=venue,
        underlying=underlying if verdict.scope is Scope.SYMBOL else "",
        reason=f"{heard}: {verdict.why}",
        now=now,
        asked_for=error.retry_after_seconds,
    )


def _of_all_orders(attempt: Attempt, verdict: Verdict, heard: str, underlying: str) -> Verdict:
    """The verdict, or a no to the whole symbol when the last orders of the coin have all met the same refusal."""
    in_a_row = error_table.SYMBOL_AFTER.get(verdict.follow)
    if in_a_row is None or attempt.call != Attempt.Call.SUBMIT or verdict.outcome is not Outcome.NOT_DONE:
        return verdict
    # By their key, as in `halts.begin_if_failing`.
    newest = Attempt.objects.filter(pk__lt=attempt.pk).order_by("-id")[:LOOKED_BACK]
    sent = [
        (row.subject_id, row.outcome, row.code)
        for row in newest
        if (row.subject, row.call, row.venue) == (attempt.subject, attempt.call, attempt.venue)
    ]
    ours = set(
        Conversion.objects.filter(
            pk__in=[subject_id for subject_id, _, _ in sent], underlying=underlying
        ).values_list("pk", flat=True)
    )
    before = [(outcome, code) for subject_id, outcome, code in sent if subject_id in ours][: in_a_row - 1]
    if before != [(Outcome.NOT_DONE.value, heard)] * (in_a_row - 1):
        return verdict
    why = f"{verdict.why}, {in_a_row} orders in a row"
    return Verdict(Outcome.NOT_DONE, Follow.HALT, why, Scope.SYMBOL)
