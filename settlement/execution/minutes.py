"""Asking the venue for the volume-weighted average price of each minute in which a conversion traded.

Three outcomes, and no call inside a transaction: the venue tells the minute (KNOWN), it has answered and has none
(NONE), or it has not given a usable answer, and is asked again (AWAITED). An answer is stored once and not changed.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import structlog
from django.conf import settings

from ledger.decimals import EXACT, product, quotient
from settlement.models import Execution
from settlement.venues.minutes import MINUTE, MINUTES_AT_MOST
from settlement.venues.protocol import PRICE_UNIT, MinuteOfTrades, Venue, VenueError

log = structlog.get_logger(__name__)

OVER_AFTER = timedelta(
    seconds=90
)  # from its beginning: by the venue's clock, too, and with late trades in it
AGAIN_AFTER = timedelta(minutes=10)
# So long after it the venue may still bring a minute that its answer leaves out.
MAY_COME_WITHIN = timedelta(days=1)
CALLS_AT_MOST = 20  # of a coin in a run
# Amounts of a candle are rounded, so its average may lie beyond its prices by as much.
TOLERANCE_RATE = Decimal("0.0001")


def ask_awaited(*, venue: Venue, clock: Callable[[], datetime]) -> int:
    """Ask for the minutes that are over and due, some hundred a call; of how many there was an answer.

    A coin whose market does not answer stops no other.
    """
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
                _wait(underlying, minutes, now)
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
    waiting = Execution.objects.filter(
        underlying=underlying, answer=Execution.Answer.AWAITED, minute__lte=now - OVER_AFTER, due_at__lte=now
    )
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
    waiting, decided = [], 0
    for minute in minutes:
        candle = told.get(minute)
        price = average(candle) if candle is not None else None
        if candle is not None and price is not None:
            _answer(underlying, minute, Execution.Answer.KNOWN, minute_price=price, minute_coin=candle.coin)
        elif now - minute > MAY_COME_WITHIN:
            _answer(underlying, minute, Execution.Answer.NONE)
        else:
            waiting.append(minute)
            continue
        decided += 1
    _wait(underlying, waiting, now)
    return decided


def _answer(underlying: str, minute: datetime, answer: Execution.Answer, **amounts: Decimal) -> None:
    awaited = Execution.objects.filter(underlying=underlying, minute=minute, answer=Execution.Answer.AWAITED)
    awaited.update(answer=answer, **amounts)


def _wait(underlying: str, minutes: list[datetime], now: datetime) -> None:
    awaited = Execution.objects.filter(
        underlying=underlying, minute__in=minutes, answer=Execution.Answer.AWAITED
    )
    awaited.update(due_at=now + AGAIN_AFTER)
