"""Reading what everybody traded at a venue, minute by minute.

Only where its candles tell the USDT that were traded beside the coin, as Binance's do: of open, high, low and close no
average can be made.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from settlement.venues.protocol import MinuteOfTrades, VenueError
from settlement.venues.reading import finite, moment_of

MINUTE = timedelta(minutes=1)
MINUTES_AT_MOST = 500
NO_MINUTES = "NoMinutes"  # the kind of VenueError of a venue that is never asked
OPENED, HIGH, LOW, COIN, USDT = 0, 2, 3, 5, 7  # places in a candle


def minutes_of(exchange: Any, symbol: str, first: datetime, count: int) -> list[MinuteOfTrades]:
    """Up to `count` minutes from `first` on, of which the venue may leave some out.

    Raises: VenueError, also where its candles have no USDT; ccxt's errors; LookupError, TypeError, ValueError,
    ArithmeticError for an answer of another form.
    """
    if exchange.id != "binance":
        raise VenueError(kind=NO_MINUTES, message=f"no averages of minutes are read from {exchange.id}")
    if count > MINUTES_AT_MOST:
        raise ValueError(f"more than {MINUTES_AT_MOST} minutes at once: {count}")
    end = first + count * MINUTE
    answer = exchange.publicGetKlines(
        {
            "symbol": exchange.market(symbol)["id"],
            "interval": "1m",
            "startTime": _milliseconds(first),
            "endTime": _milliseconds(end) - 1,
            "limit": count,
        }
    )
    if not isinstance(answer, list):
        raise ValueError("no list of candles")
    read = (_minute_of(candle) for candle in answer)
    return [each for each in read if first <= each.begins_at < end]


def _minute_of(candle: Any) -> MinuteOfTrades:
    coin, usdt, low, high = (finite(candle[place]) for place in (COIN, USDT, LOW, HIGH))
    if min(coin, usdt, low, high) < Decimal(0):
        raise ValueError(f"a candle below zero: {candle}")
    return MinuteOfTrades(moment_of(int(candle[OPENED])), coin, usdt, low, high)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1000
