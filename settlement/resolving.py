"""Resolving a conversion whose fate is unknown: only the venue's own answer about our stored id ends it.

A single "no such order" proves nothing, because a venue's reads lag behind its trades: it takes repeated misses, time,
and a trade list without strangers before a conversion counts as missed.
"""

from datetime import datetime, timedelta

from django.db import transaction

from settlement import history, policy
from settlement.conversion import BY, after_report, miss, value_fees
from settlement.history import MovedMeanwhile
from settlement.models import Attempt, Conversion, Fill
from settlement.policy import Outcome
from settlement.venues.protocol import Venue, VenueError

CLOCK_MARGIN = timedelta(seconds=5)


def ask(conversion: Conversion, venue: Venue, now: datetime) -> None:
    """Ask the venue for the conversion's order and act on the answer. Sends no order, ever."""
    request = {"client_order_id": conversion.client_order_id}
    if conversion.state == Conversion.State.SUBMITTED:
        history.advance(
            conversion, Conversion.lose_sight, at=now, by=BY, why="its sender gave no word", due_at=now
        )
    attempt = history.begin_attempt(conversion, Attempt.Call.ASK, request, at=now)
    try:
        report = venue.find(underlying=conversion.underlying, client_order_id=conversion.client_order_id)
        if report is not None:
            fees = value_fees(report.trades, conversion.underlying, venue)
        strangers = report is None and _strangers(conversion, venue)
    except VenueError as error:
        with transaction.atomic(using="desk"):
            history.end_attempt(
                attempt,
                outcome=Outcome.UNKNOWN,
                code=f"{error.kind} {error.code}".strip(),
                answer=error.raw,
                at=now,
            )
            _ask_later(conversion, now, misses=conversion.misses)
        return
    try:
        if report is not None:
            after_report(conversion, attempt, report, fees, now=now)
            if not report.final:
                _ask_later(conversion, now, misses=0)
        else:
            _after_miss(conversion, attempt, strangers=strangers, now=now)
    except MovedMeanwhile:
        return


def _after_miss(conversion: Conversion, attempt: Attempt, *, strangers: bool, now: datetime) -> None:
    misses = 0 if strangers else conversion.misses + 1
    assert conversion.submitted_at is not None  # noqa: S101 - it was sent, or it would not be asked for
    silence = (now - conversion.submitted_at).total_seconds()
    with transaction.atomic(using="desk"):
        answer = "no such order" + (", but trades that no fill explains" if strangers else "")
        history.end_attempt(attempt, outcome=Outcome.UNKNOWN, code="OrderNotFound", answer=answer, at=now)
        if misses >= policy.MISSES_TO_BE_SURE and silence >= policy.MISSED_AFTER_SECONDS:
            miss(conversion, why=f"unknown to the venue {misses} times in {silence:.0f} s", now=now)
        else:
            _ask_later(conversion, now, misses=misses)


def _ask_later(conversion: Conversion, now: datetime, *, misses: int) -> None:
    attempts = Attempt.objects.filter(
        subject="conversion", subject_id=conversion.pk, call=Attempt.Call.ASK
    ).count()
    Conversion.objects.filter(pk=conversion.pk, state=Conversion.State.UNKNOWN).update(
        misses=misses, due_at=now + timedelta(seconds=policy.backoff_seconds(attempts))
    )


def _strangers(conversion: Conversion, venue: Venue) -> bool:
    """Whether the venue shows trades since the order was sent that belong to no conversion we know the fills of."""
    assert conversion.submitted_at is not None  # noqa: S101
    trades = venue.trades(underlying=conversion.underlying, since=conversion.submitted_at - CLOCK_MARGIN)
    known = set(
        Fill.objects.filter(venue_trade_id__in=[trade.venue_trade_id for trade in trades]).values_list(
            "venue_trade_id", flat=True
        )
    )
    return any(trade.venue_trade_id not in known for trade in trades)
