"""Asking the venue for the volume-weighted average price of each minute in which a conversion traded.

Three outcomes, and no call inside a transaction: the venue tells the minute (KNOWN); it has answered without it
twice, or nobody asks it (NONE); or it gave no usable answer, and is asked again (AWAITED). The first two are final.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import structlog
from django.conf import settings
from django.db.models import QuerySet, Value
from django.db.models.functions import Coalesce

from ledger.decimals import EXACT, product, quotient
from settlement.models import Execution
from settlement.venues.minutes import MINUTE, MINUTES_AT_MOST, NO_MINUTES
from settlement.venues.protocol import PRICE_UNIT, MinuteOfTrades, Venue, VenueError

log = structlog.get_logger(__name__)

# From its beginning: then it is over by the venue's clock, too, with late trades in it.
OVER_AFTER = timedelta(seconds=90)
AGAIN_AFTER = timedelta(minutes=10)
# So long after it the venue may still bring a minute that its answer leaves out.
MAY_COME_WITHIN = timedelta(days=1)
CALLS_AT_MOST = 20  # of a coin in a run
# Amounts of a candle are rounded, so its average may lie beyond its prices by as much.
TOLERANCE_RATE = Decimal("0.0001")


def ask_awaited(*, venue: Venue, clock: Callable[[], datetime]) -> int:
    """Ask for the minutes that are over and due, some hundred a call; of how many there was an answer.

    A coin whose market does not answer stops no other. Coins and venues that are no longer ours are not asked.
    """
    _end(_awaited().exclude(underlying__in=list(settings.COINS)))
    _end(_awaited().exclude(venue__in=("", venue.name)))
    answered = 0
    for underlying in settings.COINS:
        for _ in range(CALLS_AT_MOST):
            now = clock()
            minutes = _due(underlying, now)
            if not minutes:
                break
            count = (minutes[-1] - minutes[0]) // MINUTE + 1
            try:
                told = venue.minutes(underlying=underlying, first=minutes[0], count=count)
            except VenueError as error:
                log.info("no averages of minutes", coin=underlying, error=str(error))
                if error.kind == NO_MINUTES:
                    _end(_awaited(underlying))
                else:
                    _awaited(underlying, minutes).update(due_at=now + AGAIN_AFTER)
                break
            answered += _store(underlying, minutes, {each.begins_at: each for each in told}, now)
    return answered


def average(minute: MinuteOfTrades) -> Decimal | None:
    """USDT for one coin, to 8 decimals, half-even; None if nothing was traded, or it is none of the minute's prices."""
    if not minute.coin or not minute.usdt:
        return None
    found = quotient(minute.usdt, minute.coin, unit=PRICE_UNIT, rounding=ROUND_HALF_EVEN)
    lowest = product(minute.low, EXACT.subtract(Decimal(1), TOLERANCE_RATE))
    highest = product(minute.high, EXACT.add(Decimal(1), TOLERANCE_RATE))
    if not lowest <= found <= highest:
        log.warning("an average that is none of its minute's prices", minute=str(minute))
        return None
    return found


def _due(underlying: str, now: datetime) -> list[datetime]:
    """The oldest minutes to ask for that fit into one call, in their order."""
    waiting = _awaited(underlying).filter(minute__lte=now - OVER_AFTER, due_at__lte=now)
    return list(
        _together(waiting.order_by("minute").values_list("minute", flat=True).distinct()[:MINUTES_AT_MOST])
    )


def _together(minutes: Iterable[datetime]) -> Iterator[datetime]:
    first = None
    for minute in minutes:
        first = first or minute
        if minute - first >= MINUTES_AT_MOST * MINUTE:
            return
        yield minute


def _store(
    underlying: str, minutes: list[datetime], told: dict[datetime, MinuteOfTrades], now: datetime
) -> int:
    """Each minute's answer; how many were decided."""
    known, left_out = 0, []
    for minute in minutes:
        candle = told.get(minute)
        price = average(candle) if candle is not None else None
        if candle is None or price is None:
            left_out.append(minute)
            continue
        _awaited(underlying, [minute]).update(
            answer=Execution.Answer.KNOWN, minute_price=price, minute_coin=candle.coin
        )
        known += 1
    return known + _leave_out(underlying, left_out, now)


def _leave_out(underlying: str, minutes: list[datetime], now: datetime) -> int:
    """There is none after a day and two answers without it, AGAIN_AFTER apart; of how many minutes that was so."""
    if not minutes:
        return 0
    awaited = _awaited(underlying, minutes)
    gone = awaited.filter(minute__lt=now - MAY_COME_WITHIN, left_out_at__lte=now - AGAIN_AFTER)
    ended = set(gone.values_list("minute", flat=True))
    _end(gone)
    awaited.update(left_out_at=Coalesce("left_out_at", Value(now)), due_at=now + AGAIN_AFTER)
    return len(ended)


def _awaited(underlying: str | None = None, minutes: list[datetime] | None = None) -> QuerySet[Execution]:
    """What waits for its minute; of one coin, of some minutes."""
    rows = Execution.objects.filter(answer=Execution.Answer.AWAITED)
    if underlying is not None:
        rows = rows.filter(underlying=underlying)
    return rows if minutes is None else rows.filter(minute__in=minutes)


def _end(rows: QuerySet[Execution]) -> None:
    if ended := rows.update(answer=Execution.Answer.NONE):
        log.info("minutes that nobody tells", conversions=ended)
