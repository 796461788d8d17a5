"""A call to the venue that failed: its answer is stored with the error table's verdict, whoever made the call."""

from datetime import datetime

import structlog

from settlement import halts, history, policy
from settlement.models import Attempt
from settlement.policy import Answer, Follow, Verdict
from settlement.venues.protocol import VenueError

log = structlog.get_logger(__name__)

QUESTIONS = (Attempt.Call.ASK, Attempt.Call.ASK_TRANSFER)


def take(attempt: Attempt, error: VenueError, *, now: datetime) -> Verdict:
    """Store what was heard and judge it; halt the venue when that follows, or when it has failed too often in a row."""
    answer = Answer(
        venue=attempt.venue,
        kind=error.kind,
        code=error.code,
        status=error.status,
        to_question=attempt.call in QUESTIONS,
    )
    verdict = policy.TABLE.judge(answer)
    history.end_failed_attempt(attempt, error, verdict, at=now)
    log.warning(
        "venue call failed",
        request=str(attempt.request_id),
        call=attempt.call,
        subject=f"{attempt.subject} {attempt.subject_id}",
        heard=attempt.code,
        outcome=verdict.outcome.value,
        follow=verdict.follow.value,
    )
    if verdict.follow is Follow.HALT:
        reason = f"{attempt.code}: {verdict.why}"
        halts.begin(venue=attempt.venue, reason=reason, now=now, asked_for=error.retry_after_seconds)
    else:
        halts.begin_if_failing(venue=attempt.venue, now=now)
    return verdict
