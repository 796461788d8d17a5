"""Resolving a conversion whose fate is unknown: only the venue's own answer about our stored id ends it.

A single "no such order" proves nothing, because a venue's reads lag behind its trades: it takes repeated misses, time,
a trade list in which nothing can be its own, and a wallet without its coin before a conversion counts as missed.
"""

from datetime import datetime, timedelta

from settlement.conversions.outcomes import after_report, lose_sight, miss
from settlement.funds import wallets
from settlement.models import Attempt, Conversion
from settlement.task_triggers import resume_in
from settlement.venues import error_table, failures, state_history, venue_clock
from settlement.venues.error_table import Outcome
from settlement.venues.protocol import Venue, VenueError

STRANGERS_LOOKED_UP = 20


def ask(conversion: Conversion, venue: Venue, now: datetime) -> None:
    """Ask the venue for the conversion's order and act on the answer. Sends no order, ever.

    Raises: MovedMeanwhile, after which somebody else has taken care of it.
    """
    lose_sight(conversion, why="its sender gave no word", now=now)
    request = {"client_order_id": conversion.client_order_id}
    attempt = state_history.begin_attempt(conversion, Attempt.Call.ASK, request, at=now)
    try:
        report = venue.find(underlying=conversion.underlying, client_order_id=conversion.client_order_id)
        # The wallet is looked at only when it decides: that costs a sum over the book and the venue's dearest question.
        decides = report is None and _would_be_missed(conversion, now)
        doubt = what_speaks_for(conversion, venue, with_wallet=decides) if report is None else ""
    except VenueError as error:
        failures.take(attempt, error, now=now, underlying=conversion.underlying)
        _ask_later(conversion, now, misses=conversion.misses, asked_for=error.retry_after_seconds)
        return
    if report is None:
        _after_miss(conversion, attempt, doubt=doubt, now=now)
    elif not after_report(conversion, attempt, report, venue, now=now):
        _ask_later(conversion, now, misses=0)


def what_speaks_for(conversion: Conversion, venue: Venue, *, with_wallet: bool = True) -> str:
    """What speaks against the venue's word that there is no such order; blank when nothing does. Raises: VenueError."""
    if _may_be_a_stranger(conversion, venue):
        return "a trade that may be its own"
    if with_wallet and wallets.speak_of_order(conversion, venue):
        return "coin in the wallet that may be its own"
    return ""


def _would_be_missed(conversion: Conversion, now: datetime) -> bool:
    """Whether one more miss is enough of them, and of time."""
    return (
        conversion.misses + 1 >= error_table.MISSES_TO_BE_SURE
        and _silent_seconds(conversion, now) >= error_table.MISSED_AFTER_SECONDS
    )


def _silent_seconds(conversion: Conversion, now: datetime) -> float:
    assert conversion.submitted_at is not None  # noqa: S101 - it was sent, or it would not be asked for
    return (now - conversion.submitted_at).total_seconds()


def _after_miss(conversion: Conversion, attempt: Attempt, *, doubt: str, now: datetime) -> None:
    answer = f"no such order, but {doubt}" if doubt else "no such order"
    state_history.end_attempt(attempt, outcome=Outcome.UNKNOWN, code="OrderNotFound", answer=answer, at=now)
    misses = conversion.misses + 1
    if doubt:
        _ask_later(conversion, now, misses=0)
    elif _would_be_missed(conversion, now):
        seconds = _silent_seconds(conversion, now)
        miss(conversion, why=f"unknown to the venue {misses} times in {seconds:.0f} s", now=now)
    else:
        _ask_later(conversion, now, misses=misses)


def _ask_later(conversion: Conversion, now: datetime, *, misses: int, asked_for: float | None = None) -> None:
    asked = Attempt.objects.filter(
        subject=state_history.Subject.CONVERSION, subject_id=conversion.pk, call=Attempt.Call.ASK
    ).count()
    pause = error_table.pause_seconds(asked, asked_for=asked_for)
    Conversion.objects.filter(
        pk=conversion.pk, state=Conversion.State.UNKNOWN, version=conversion.version
    ).update(misses=misses, due_at=now + timedelta(seconds=pause))
    resume_in(pause)


def _may_be_a_stranger(conversion: Conversion, venue: Venue) -> bool:
    """Whether the venue shows a trade since the order was sent that may be its own: its order carries our id, or none.

    Raises: VenueError.
    """
    assert conversion.submitted_at is not None  # noqa: S101
    before = Conversion.objects.filter(
        underlying=conversion.underlying, pk__lt=conversion.pk, submitted_at__isnull=False
    )
    # Its own time may have been put right, but it was sent after the one before it.
    last = before.order_by("-pk").values_list("submitted_at", flat=True).first()
    since = venue_clock.earliest(min(last or conversion.submitted_at, conversion.submitted_at), venue)
    trades = venue.trades(underlying=conversion.underlying, since=since)
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
