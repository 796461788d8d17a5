"""Reading a venue's trades and transfers to the end, however many they are: a full page is never taken for the whole.

Ids are numbers: as text '1000' comes before '999', which is how ccxt sorts what happened in one millisecond.
"""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from settlement.venues.protocol import Trade, TradePage, Venue, VenueError
from settlement.venues.reading import name_of, trade_of

HISTORY_PAGE = 1000
TRANSFERS_PAGE = 100
PAGES_AT_MOST = 10_000  # a venue that fills every page for ever is no answer
# A page weighs 20 of the 6,000 a minute that Binance allows an address: so 40 % of them, and orders have the rest.
PAGE_PAUSE_SECONDS = 0.5
WITHIN_MS = 24 * 3600 * 1000 - 1  # what Binance answers of, when it is asked by time


def trades_since(exchange: Any, symbol: str, since: datetime) -> list[Trade]:
    """All trades of a ccxt exchange's market since a moment, oldest first.

    Raises: VenueError, ccxt's errors; ValueError for ids that are no numbers, where there is more than a page.
    """
    page, is_last = _first(exchange, symbol, _milliseconds(since))
    trades = _once(page) if is_last else _with_all_that_follow(exchange, symbol, page)
    return [trade_of(trade) for trade in trades]


def page_of_trades(
    exchange: Any, symbol: str, *, since: datetime, until: datetime, after: str = ""
) -> TradePage:
    """The first trades from a moment on, or those after the trade `after`, of those before `until`.

    Raises: as `trades_since`.
    """
    stop = _milliseconds(until)
    if after:
        page = _following(exchange, symbol, int(after) + 1)
        is_last = len(page) < HISTORY_PAGE
    else:
        page, is_last = _first(exchange, symbol, _milliseconds(since), stop)
    if after or not is_last:
        page = sorted(page, key=lambda trade: int(trade["id"]))
    return TradePage(
        tuple(trade_of(trade) for trade in _once(page) if trade["timestamp"] < stop),
        last_id=page[-1]["id"] if page else "",
        is_last=is_last or page[-1]["timestamp"] >= stop,
    )


def all_pages(venue: Venue, *, underlying: str, since: datetime, until: datetime) -> Iterator[TradePage]:
    """The trades of a span a page at a time, oldest first, with PAGE_PAUSE_SECONDS between two questions.

    One page is held at a time. Raises: VenueError.
    """
    after = ""
    for _ in range(PAGES_AT_MOST):
        page = venue.page_of_trades(underlying=underlying, since=since, until=until, after=after)
        yield page
        if page.is_last:
            return
        after = page.last_id
        time.sleep(PAGE_PAUSE_SECONDS)
    raise VenueError(kind="BadAnswer", message=f"more than {PAGES_AT_MOST} pages of trades")


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


def _first(exchange: Any, symbol: str, start: int, stop: int | None = None) -> tuple[list[Any], bool]:
    """The first page from `start` on that has trades, and whether none follow it before `stop`; in milliseconds."""
    # By the venue's clock: what is asked for without an end is answered of one day, too.
    ends_at = exchange.milliseconds() - exchange.options.get("timeDifference", 0)
    while (end := start + WITHIN_MS) < ends_at:
        if stop is not None and start >= stop:
            return [], True
        if page := _page(exchange, symbol, startTime=start, endTime=end):
            return page, stop is not None and stop <= end + 1 and len(page) < HISTORY_PAGE
        start = end
    # The last day has no end: trades go on while they are read, and the venue's clock may be ahead of ours.
    page = _page(exchange, symbol, startTime=start)
    return page, len(page) < HISTORY_PAGE


def _with_all_that_follow(exchange: Any, symbol: str, page: list[Any], **of: Any) -> list[Any]:
    """The trades of a page and all later ones."""
    found = {int(trade["id"]): trade for trade in _once(page)}
    if not found:
        return []
    for _ in range(PAGES_AT_MOST):
        page = _following(exchange, symbol, max(found) + 1, **of)
        found.update((int(trade["id"]), trade) for trade in _once(page))
        if len(page) < HISTORY_PAGE:
            return [found[number] for number in sorted(found)]
    raise VenueError(kind="BadAnswer", message=f"more than {PAGES_AT_MOST} pages of trades")


def _following(exchange: Any, symbol: str, first: int, **of: Any) -> list[Any]:
    """The page of the trades from this number on: asked for so, they have no limit in time. Raises: VenueError."""
    page = _page(exchange, symbol, fromId=first, **of)
    if any(int(trade["id"]) < first for trade in page):
        raise VenueError(kind="BadAnswer", message=f"the trades after {first} do not go on")
    return page


def _once(page: list[Any]) -> list[Any]:
    """Each trade of a page once, though it tells one twice. Raises: VenueError for one that is told in two ways."""
    found: dict[Any, Any] = {}
    for trade in page:
        if found.setdefault(trade["id"], trade) != trade:
            raise VenueError(kind="BadAnswer", message=f"trade {trade['id']} is told in two ways")
    return list(found.values())


def _page(exchange: Any, symbol: str, **parameters: Any) -> list[Any]:
    return exchange.fetch_my_trades(symbol, None, HISTORY_PAGE, parameters)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
