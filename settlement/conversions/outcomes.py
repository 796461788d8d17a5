"""What follows a venue's answer to a conversion: filled, missed, waiting, out of sight, or in a person's hands.

Guards the three outcomes: the answer is stored whatever becomes of the row, the row moves only from the state and
version it was read in, and what was executed is never taken for undone because something after it failed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from acceptance.models import AcceptedOrder
from config.rows import insert
from config.transitions import move_selected
from settlement import failures, history, policy
from settlement.history import MovedMeanwhile
from settlement.models import Attempt, Carry, Conversion, Fill
from settlement.policy import Follow, Outcome
from settlement.venues.protocol import OrderReport, Trade, Venue, VenueError

BY = "settlement"
USDT_UNIT = Decimal("0.00000001")


def after_report(
    conversion: Conversion, attempt: Attempt, report: OrderReport, venue: Venue, *, now: datetime
) -> bool:
    """Store what the venue says became of the order; False when that is not final yet and has to be asked again.

    Raises: MovedMeanwhile, after which nothing but the answer is stored.
    """
    valued: Mapping[str, Decimal] | VenueError = {}
    if report.final:
        try:
            valued = fee_values(report.trades, conversion.underlying, venue)
        except VenueError as error:
            valued = error
    try:
        with transaction.atomic(using="desk"):
            _end(attempt, report, now)
            return _move(conversion, report, valued, now)
    except MovedMeanwhile:
        _end(attempt, report, now)
        raise


def _end(attempt: Attempt, report: OrderReport, now: datetime) -> None:
    outcome = Outcome.DONE if report.final else Outcome.UNKNOWN
    history.end_attempt(attempt, outcome=outcome, code="", answer=report.raw, at=now)


def _move(
    conversion: Conversion,
    report: OrderReport,
    valued: Mapping[str, Decimal] | VenueError,
    now: datetime,
) -> bool:
    if not report.final:
        lose_sight(conversion, why="the order is still alive at the venue", now=now)
        return False
    if report.filled_coin == 0:
        miss(conversion, why="the venue executed nothing", now=now, venue_order_id=report.venue_order_id)
        return True
    if isinstance(valued, VenueError):
        why = f"executed, but its fee cannot be valued yet: {valued}"
        lose_sight(conversion, why=why, now=now)
        return False
    history.advance(
        conversion,
        Conversion.fill,
        at=now,
        by=BY,
        venue_order_id=report.venue_order_id,
        filled_coin=report.filled_coin,
        filled_usdt=sum((trade.usdt for trade in report.trades), Decimal(0)),
        filled_at=now,
        due_at=None,
    )
    insert([fill_of(conversion, trade, valued) for trade in report.trades])
    return True


def fee_values(trades: tuple[Trade, ...], underlying: str, venue: Venue) -> dict[str, Decimal]:
    """USDT for one unit of each third asset that a fee was taken in. Raises: VenueError."""
    third = {trade.fee_asset for trade in trades if trade.fee} - {underlying, "USDT"}
    return {asset: venue.value_in_usdt(asset) for asset in sorted(third)}


def fill_of(conversion: Conversion, trade: Trade, valued: Mapping[str, Decimal]) -> Fill:
    value = valued.get(trade.fee_asset)
    return Fill(
        conversion=conversion,
        symbol=settings.COINS[conversion.underlying],
        venue_trade_id=trade.venue_trade_id,
        price=trade.price,
        coin=trade.coin,
        usdt=trade.usdt,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        fee_usdt=None if value is None else (value * trade.fee).quantize(USDT_UNIT),
        traded_at=trade.traded_at,
    )


def after_failure(conversion: Conversion, attempt: Attempt, error: VenueError, *, now: datetime) -> Follow:
    """Do what the error table says of a failed submission, and tell what it says.

    Raises: MovedMeanwhile, after which nothing but the answer is stored.
    """
    verdict = failures.take(attempt, error, now=now)
    why = f"{error.kind} {error.code}: {verdict.why}"
    follow, tries = verdict.follow, conversion.attempts
    if verdict.outcome is Outcome.UNKNOWN:
        lose_sight(conversion, why=why, now=now)
    elif follow is Follow.HUMAN or _is_too_often(conversion, follow):
        history.advance(conversion, Conversion.hand_over, at=now, by=BY, why=why, reason=why, due_at=None)
    elif tries >= policy.RETRY_LIMIT:
        miss(conversion, why=f"{why}, {tries} times", now=now)
    else:
        pause = policy.retry_pause_seconds(follow, tries, asked_for=error.retry_after_seconds)
        due_at = now + timedelta(seconds=pause)
        history.advance(conversion, Conversion.wait, at=now, by=BY, why=why, reason=why, due_at=due_at)
    return follow


def _is_too_often(conversion: Conversion, follow: Follow) -> bool:
    """Whether a person has to see to it, after so many tries that came to this."""
    if follow not in policy.HUMAN_AFTER:
        return False
    tries = Attempt.objects.filter(
        subject=history.Subject.CONVERSION, subject_id=conversion.pk, call=Attempt.Call.SUBMIT, follow=follow
    )
    return tries.count() >= policy.HUMAN_AFTER[follow]


def lose_sight(conversion: Conversion, *, why: str, now: datetime) -> None:
    """From now on only the venue's answer about the stored id counts; of an unknown one that is known already.

    Raises: MovedMeanwhile.
    """
    if conversion.state == Conversion.State.UNKNOWN:
        return
    due_at = now + timedelta(seconds=policy.pause_seconds(1))
    history.advance(conversion, Conversion.lose_sight, at=now, by=BY, why=why, reason=why, due_at=due_at)


def miss(conversion: Conversion, *, why: str, now: datetime, venue_order_id: str = "") -> None:
    """End a conversion of which nothing was executed: its orders and its carry wait for the next one.

    Raises: MovedMeanwhile.
    """
    give_back(conversion, Conversion.miss, why=why, by=BY, now=now, venue_order_id=venue_order_id)


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
        history.advance(
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
        released = move_selected(
            AcceptedOrder.objects.filter(conversion_id=conversion.pk),
            AcceptedOrder.release,
            same={"conversion_id": None, "converting_at": None},
            returning=["id"],
        )
        if len(released) != conversion.order_count:
            raise RuntimeError(f"{conversion.order_count} orders to release, {len(released)} released")


def add_to_carry(underlying: str, *, coin: Decimal, usdt: Decimal) -> None:
    """Hand coin and its worth on to the next conversion."""
    Carry.objects.filter(pk=underlying).update(coin=F("coin") + coin, usdt=F("usdt") + usdt)
