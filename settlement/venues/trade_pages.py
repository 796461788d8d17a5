"""Reading a venue's trades and transfers to the end, however many they are: a full page is never taken for the whole.

Ids are numbers: as text '1000' comes before '999', which is how ccxt sorts what happened in one millisecond.
"""

from datetime import datetime
from typing import Any

from settlement.venues.protocol import Trade, VenueError
from settlement.venues.reading import name_of, trade_of

HISTORY_PAGE = 1000
TRANSFERS_PAGE = 100
PAGES_AT_MOST = 10_000  # a venue that fills every page for ever is no answer
WITHIN_MS = 24 * 3600 * 1000 - 1  # what Binance answers of, when it is asked by time


def trades_since(exchange: Any, symbol: str, since: datetime, until: datetime | None = None) -> list[Trade]:
    """All trades of a ccxt exchange's market since a moment, oldest first; with `until` those before that moment.

    Raises: VenueError, ccxt's errors; ValueError for ids that are no numbers, where there is more than a page.
    """
    start = int(since.timestamp() * 1000)
    stop = None if until is None else int(until.timestamp() * 1000)
    # By the venue's clock: what is asked for without an end is answered of one day, too.
    ends_at = exchange.milliseconds() - exchange.options.get("timeDifference", 0)
    while (end := start + WITHIN_MS) < ends_at:
        if stop is not None and start >= stop:
            return []
        if page := _page(exchange, symbol, startTime=start, endTime=end):
            return _read(_with_all_that_follow(exchange, symbol, page, stop), stop)
        start = end
    # The last day has no end: trades go on while they are read, and the venue's clock may be ahead of ours.
    page = _page(exchange, symbol, startTime=start)
    return _read(
        page if len(page) < HISTORY_PAGE else _with_all_that_follow(exchange, symbol, page, stop), stop
    )


def trades_of_order(exchange: Any, symbol: str, order_id: str) -> list[Any]:
    """All trades of one order, as ccxt has them, oldest first. Raises: as `trades_since`."""
    page = _page(exchange, symbol, orderId=order_id)
    if len(page) < HISTORY_PAGE:
        return _once(page)
    # Which end of them that was is not documented: so all of them are read, from the first on.
    first = _page(exchange, symbol, orderId=order_id, fromId=0)
    return _with_all_that_follow(exchange, symbol, first, orderId=order_id)


def transfers_between(exchange: Any, since: datetime, origin: str, target: str) -> list[Any]:
    """All movements from one wallet to another since a moment, of every asset, as ccxt has them; each once.

    The venue numbers its pages, newest first: one that happens meanwhile moves others to the next page, never past it.

    Raises: VenueError, ccxt's errors.
    """
    found: dict[str, Any] = {}
    for number in range(1, PAGES_AT_MOST + 1):
        page = exchange.fetch_transfers(
            None,  # an asset would only be picked out of the page by ccxt
            int(since.timestamp() * 1000),
            TRANSFERS_PAGE,
            {"fromAccount": origin, "toAccount": target, "current": number},
        )
        found.update((name_of(entry["id"]), entry) for entry in page)
        if len(page) < TRANSFERS_PAGE:
            return list(found.values())
    raise VenueError(kind="BadAnswer", message=f"more than {PAGES_AT_MOST} pages of transfers")


def _with_all_that_follow(
    exchange: Any, symbol: str, page: list[Any], stop: int | None = None, **of: Any
) -> list[Any]:
    """The trades of a page and all later ones, which are asked for by number: that has no limit in time.

    Nothing is asked for beyond the first trade of `stop`, in milliseconds, or later.
    """
    found = {int(trade["id"]): trade for trade in page}
    if not found:
        return []
    for _ in range(PAGES_AT_MOST):
        following = max(found) + 1
        page = _page(exchange, symbol, fromId=following, **of)
        if any(int(trade["id"]) < following for trade in page):
            raise VenueError(kind="BadAnswer", message=f"the trades after {following} do not go on")
        found.update((int(trade["id"]), trade) for trade in page)
        if len(page) < HISTORY_PAGE or (stop is not None and page[-1]["timestamp"] >= stop):
            return [found[number] for number in sorted(found)]
    raise VenueError(kind="BadAnswer", message=f"more than {PAGES_AT_MOST} pages of trades")


def _read(trades: list[Any], stop: int | None) -> list[Trade]:
    return [trade_of(trade) for trade in _once(trades) if stop is None or trade["timestamp"] < stop]


def _once(trades: list[Any]) -> list[Any]:
    """Each trade once, though a page has told it twice. Raises: VenueError for one that is told in two ways."""
    found: dict[Any, Any] = {}
    for trade in trades:
        if found.setdefault(trade["id"], trade) != trade:
            raise VenueError(kind="BadAnswer", message=f"trade {trade['id']} is told in two ways")
    return list(found.values())


def _page(exchange: Any, symbol: str, **parameters: Any) -> list[Any]:
    return exchange.fetch_my_trades(symbol, None, HISTORY_PAGE, parameters)
