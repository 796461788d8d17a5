"""Resolving a conversion whose fate is unknown: only the venue's own answer about our stored id ends it.

A single "no such order" proves nothing, because a venue's reads lag behind its trades: it takes repeated misses, time,
and a trade list in which nothing can be its own before a conversion counts as missed.
"""

from datetime import datetime, timedelta

from settlement import history, policy
from settlement.models import Attempt, Conversion
from settlement.outcomes import after_report, lose_sight, miss
from settlement.policy import Outcome
from settlement.venues.protocol import Venue, VenueError

CLOCK_MARGIN = timedelta(seconds=5)
STRANGERS_LOOKED_UP = 20


def ask(conversion: Conversion, venue: Venue, now: datetime) -> None:
    """Ask the venue for the conversion's order and act on the answer. Sends no order, ever.

    Raises: MovedMeanwhile, after which somebody else has taken care of it.
    """
    lose_sight(conversion, why="its sender gave no word", now=now)
    request = {"client_order_id": conversion.client_order_id}
    attempt = history.begin_attempt(conversion, Attempt.Call.ASK, request, at=now)
    try:
        report = venue.find(underlying=conversion.underlying, client_order_id=conversion.client_order_id)
        doubt = report is None and _may_be_a_stranger(conversion, venue)
    except VenueError as error:
        history.end_failed_attempt(attempt, outcome=Outcome.UNKNOWN, error=error, at=now)
        _ask_later(conversion, now, misses=conversion.misses, asked_for=error.retry_after_seconds)
        return
    if report is None:
        _after_miss(conversion, attempt, doubt=doubt, now=now)
    elif not after_report(conversion, attempt, report, venue, now=now):
        _ask_later(conversion, now, misses=0)


def _after_miss(conversion: Conversion, attempt: Attempt, *, doubt: bool, now: datetime) -> None:
    misses = 0 if doubt else conversion.misses + 1
    assert conversion.submitted_at is not None  # noqa: S101 - it was sent, or it would not be asked for
    silence = (now - conversion.submitted_at).total_seconds()
    answer = "no such order" + (", but a trade that may be its own" if doubt else "")
    history.end_attempt(attempt, outcome=Outcome.UNKNOWN, code="OrderNotFound", answer=answer, at=now)
    if misses >= policy.MISSES_TO_BE_SURE and silence >= policy.MISSED_AFTER_SECONDS:
        miss(conversion, why=f"unknown to the venue {misses} times in {silence:.0f} s", now=now)
    else:
        _ask_later(conversion, now, misses=misses)


def _ask_later(conversion: Conversion, now: datetime, *, misses: int, asked_for: float | None = None) -> None:
    asked = Attempt.objects.filter(
        subject=history.Subject.CONVERSION, subject_id=conversion.pk, call=Attempt.Call.ASK
    ).count()
    pause = timedelta(seconds=policy.pause_seconds(asked, asked_for=asked_for))
    Conversion.objects.filter(
        pk=conversion.pk, state=Conversion.State.UNKNOWN, version=conversion.version
    ).update(misses=misses, due_at=now + pause)


def _may_be_a_stranger(conversion: Conversion, venue: Venue) -> bool:
    """Whether the venue shows a trade since the order was sent that may be its own: its order carries our id, or none.

    Raises: VenueError.
    """
    assert conversion.submitted_at is not None  # noqa: S101
    trades = venue.trades(underlying=conversion.underlying, since=conversion.submitted_at - CLOCK_MARGIN)
    traded = {trade.venue_order_id for trade in trades}
    known = Conversion.objects.filter(underlying=conversion.underlying, venue_order_id__in=traded)
    strangers = sorted(traded - set(known.values_list("venue_order_id", flat=True)))
    if len(strangers) > STRANGERS_LOOKED_UP:
        return True
    return any(
        venue.client_order_id(underlying=conversion.underlying, venue_order_id=stranger)
        in (None, conversion.client_order_id)
        for stranger in strangers
    )
