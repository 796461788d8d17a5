"""Reading a venue's trades since a moment, however long ago it was and however many they are."""

from datetime import datetime
from typing import Any

from settlement.venues.protocol import Trade, VenueError
from settlement.venues.reading import trade_of

HISTORY_PAGE = 1000
WITHIN_MS = 24 * 3600 * 1000 - 1  # what Binance answers of, when it is asked by time


def trades_since(exchange: Any, symbol: str, since: datetime) -> list[Trade]:
    """All trades of a ccxt exchange's market since a moment, oldest first.

    Raises: VenueError, ccxt's errors.
    """
    start = int(since.timestamp() * 1000)
    while (end := start + WITHIN_MS) < exchange.milliseconds():
        if page := _page(exchange, symbol, startTime=start, endTime=end):
            return _with_all_that_follow(exchange, symbol, page)
        start = end
    # The last day has no end: trades go on while they are read, and the venue's clock may be ahead of ours.
    page = _page(exchange, symbol, startTime=start)
    if len(page) < HISTORY_PAGE:
        return [trade_of(trade) for trade in page]
    return _with_all_that_follow(exchange, symbol, page)


def _with_all_that_follow(exchange: Any, symbol: str, page: list[Any]) -> list[Trade]:
    """The trades of a page and all later ones, which are asked for by number: that has no limit in time."""
    found = [trade_of(trade) for trade in page]
    while page:
        following = int(page[-1]["id"]) + 1
        page = _page(exchange, symbol, fromId=following)
        if page and int(page[-1]["id"]) < following:
            raise VenueError(kind="BadAnswer", message=f"the trades after {following} do not go on")
        found += [trade_of(trade) for trade in page]
        if len(page) < HISTORY_PAGE:
            break
    return found


def _page(exchange: Any, symbol: str, **parameters: int) -> list[Any]:
    return exchange.fetch_my_trades(symbol, None, HISTORY_PAGE, parameters)
