"""What follows a venue's answer to a conversion: filled, missed, waiting, out of sight, or in a person's hands.

Guards the three outcomes: the answer is stored even if the row cannot move, the row moves only from the state and
version it was read in, and what was executed is never taken for undone because something after it failed.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from acceptance.models import AcceptedOrder
from acceptance.order_history import move_orders
from infra.db.lifecycles import moves
from infra.db.transient_errors import is_session_over
from ledger.decimals import calculating
from settlement.conversions import late_fees, round_statements
from settlement.conversions.late_fees import fee_values, worth
from settlement.models import Attempt, Carry, Conversion, Fill
from settlement.task_triggers import resume_in
from settlement.venues import error_table, failures, state_history
from settlement.venues.error_table import Follow, Outcome
from settlement.venues.protocol import OrderReport, Trade, Venue, VenueError
from settlement.venues.state_history import MovedMeanwhile

BY = "settlement"
Book = Callable[
    [Conversion, list[Fill]], None
]  # enters a filled conversion into the book, in its transaction

log = structlog.get_logger(__name__)


@calculating()
def after_report(
    conversion: Conversion,
    attempt: Attempt,
    report: OrderReport,
    venue: Venue,
    *,
    now: datetime,
    book: Book | None = None,
) -> bool:
    """Store what the venue says became of the order; False when that is not final yet and has to be asked again.

    With `book` what was executed is booked in the same transaction; if that fails it is stored alone, as FILLED.

    Raises: MovedMeanwhile, after which nothing but the answer is stored.
    """
    outcome = Outcome.DONE if report.final else Outcome.UNKNOWN
    state_history.answer_attempt(attempt, outcome=outcome, code="", answer=report.raw, at=now)
    if report.final and report.filled_coin:
        values = fee_values(report.trades, conversion.underlying, venue)
        fills = [fill_of(conversion, trade, values) for trade in report.trades]
        _fill(conversion, attempt, report, fills, book, now=now)
        return True
    try:
        with transaction.atomic(using="desk"):
            state_history.store_answer(attempt)
            if report.final:
                why = "the venue executed nothing"
                miss(conversion, why=why, now=now, venue_order_id=report.venue_order_id)
            else:
                lose_sight(conversion, why="the order is still alive at the venue", now=now)
    except MovedMeanwhile:
        state_history.store_answer(attempt)
        raise
    return report.final


def _fill(
    conversion: Conversion,
    attempt: Attempt,
    report: OrderReport,
    fills: list[Fill],
    book: Book | None,
    *,
    now: datetime,
) -> None:
    read = dict(conversion.__dict__)
    try:
        moved = _store_fill(conversion, attempt, report, fills, book, now=now)
    except Exception as error:
        if book is None or is_session_over(error):
            raise
        # Nothing of it is stored. What the venue did is, though it is kept out of the book; the sweep says why.
        log.warning("a fill is stored without being booked", conversion=conversion.pk, error=repr(error))
        conversion.__dict__.update(read)
        moved = _store_fill(conversion, attempt, report, fills, None, now=now)
    if not moved:
        raise MovedMeanwhile(f"conversion {conversion.pk} is no longer {conversion.state}")


def _store_fill(
    conversion: Conversion,
    attempt: Attempt,
    report: OrderReport,
    fills: list[Fill],
    book: Book | None,
    *,
    now: datetime,
) -> bool:
    """Store answer and fills, and have the conversion show it; False when it has moved, and only the answer is."""
    changes = {
        "venue_order_id": report.venue_order_id,
        "filled_coin": report.filled_coin,
        "filled_usdt": sum((trade.usdt for trade in report.trades), Decimal(0)),
        "filled_at": now,
        "due_at": None,
    }
    late = late_fees.unvalued(conversion, fills)
    with transaction.atomic(using="desk"):
        if not round_statements.answered_in_full(conversion, attempt, changes, fills, late, at=now, by=BY):
            return False
        if book is not None:
            book(conversion, fills)
    return True


def fill_of(conversion: Conversion, trade: Trade, values: Mapping[str, Decimal]) -> Fill:
    """A trade as it is stored; `values` are USDT for one unit of what a fee may have been taken in."""
    return Fill(
        conversion=conversion,
        symbol=settings.COINS[conversion.underlying],
        venue_trade_id=trade.venue_trade_id,
        price=trade.price,
        coin=trade.coin,
        usdt=trade.usdt,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        fee_usdt=worth(values.get(trade.fee_asset), trade.fee),
        traded_at=trade.traded_at,
    )


@moves(Conversion.hand_over, Conversion.State.SUBMITTED)
@moves(Conversion.wait)
def after_failure(conversion: Conversion, attempt: Attempt, error: VenueError, *, now: datetime) -> Follow:
    """Do what the error table says of a failed submission, and tell what it says.

    Raises: MovedMeanwhile, after which nothing but the answer is stored.
    """
    verdict = failures.take(attempt, error, now=now, underlying=conversion.underlying)
    why = f"{error.kind} {error.code}: {verdict.why}"
    follow, tries = verdict.follow, conversion.attempts
    if verdict.outcome is Outcome.UNKNOWN:
        lose_sight(conversion, why=why, now=now)
    elif follow is Follow.HUMAN or _is_too_often(conversion, follow):
        state_history.advance(
            conversion, Conversion.hand_over, at=now, by=BY, why=why, reason=why, due_at=None
        )
    elif follow in (Follow.HALT, Follow.REPLAN):
        miss(conversion, why=why, now=now)
    elif tries >= error_table.RETRY_LIMIT:
        miss(conversion, why=f"{why}, {tries} times", now=now)
    else:
        pause = error_table.retry_pause_seconds(follow, tries, asked_for=error.retry_after_seconds)
        due_at = now + timedelta(seconds=pause)
        state_history.advance(conversion, Conversion.wait, at=now, by=BY, why=why, reason=why, due_at=due_at)
        resume_in(pause)
    return follow


def _is_too_often(conversion: Conversion, follow: Follow) -> bool:
    """Whether a person has to see to it, after so many tries that came to this."""
    if follow not in error_table.HUMAN_AFTER:
        return False
    tries = Attempt.objects.filter(
        subject=state_history.Subject.CONVERSION,
        subject_id=conversion.pk,
        call=Attempt.Call.SUBMIT,
        follow=follow,
    )
    return tries.count() >= error_table.HUMAN_AFTER[follow]


@moves(Conversion.lose_sight)
def lose_sight(conversion: Conversion, *, why: str, now: datetime) -> None:
    """From now on only the venue's answer about the stored id counts; of an unknown one that is known already.

    Raises: MovedMeanwhile.
    """
    if conversion.state == Conversion.State.UNKNOWN:
        return
    pause = error_table.pause_seconds(1)
    due_at = now + timedelta(seconds=pause)
    state_history.advance(
        conversion, Conversion.lose_sight, at=now, by=BY, why=why, reason=why, due_at=due_at
    )
    resume_in(pause)


@moves(Conversion.miss)
def miss(conversion: Conversion, *, why: str, now: datetime, venue_order_id: str = "") -> None:
    """End a conversion of which nothing was executed: its orders and its carry wait for the next one.

    Raises: MovedMeanwhile.
    """
    give_back(conversion, Conversion.miss, why=why, by=BY, now=now, venue_order_id=venue_order_id)


@moves(AcceptedOrder.release)
def give_back(
    conversion: Conversion,
    transition_method: Any,
    *,
    why: str,
    by: str,
    now: datetime,
    venue_order_id: str = "",
) -> None:
    """Release orders and carry of a conversion that has certainly executed nothing.

    Raises: MovedMeanwhile.
    """
    with transaction.atomic(using="desk"):
        state_history.advance(
            conversion,
            transition_method,
            at=now,
            by=by,
            why=why,
            reason=why,
            venue_order_id=venue_order_id,
            due_at=None,
        )
        # The conversion is locked before the carry, as in booking.
        add_to_carry(conversion.underlying, coin=conversion.carry_in_coin, usdt=conversion.carry_in_usdt)
        released = move_orders(
            AcceptedOrder.objects.filter(conversion_id=conversion.pk),
            AcceptedOrder.release,
            at=now,
            same={"conversion_id": None, "converting_at": None},
            released_from=conversion.pk,
        )
        if len(released) != conversion.order_count:
            raise RuntimeError(f"{conversion.order_count} orders to release, {len(released)} released")


def add_to_carry(underlying: str, *, coin: Decimal, usdt: Decimal) -> None:
    """Hand coin and its worth on to the next conversion."""
    Carry.objects.filter(pk=underlying).update(coin=F("coin") + coin, usdt=F("usdt") + usdt)
