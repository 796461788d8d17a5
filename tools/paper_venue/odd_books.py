"""Books as they are in bad moments: a wick, a side gone, sides crossed or far apart, a book that stands still.

What a fault changes is what one request, or one message of a stream, shows of the book, and what an order of that
request meets; the price itself, the filters' average and resting orders are as without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import partial

from tools.paper_venue.amounts import ONE, ZERO, round_down
from tools.paper_venue.faults import Fault, FaultKind
from tools.paper_venue.market import Market
from tools.paper_venue.prices.quotes import Quote
from tools.paper_venue.symbols import Symbol

HUNDRED = Decimal(100)


@contextmanager
def showing(markets: Iterable[Market], struck: Mapping[FaultKind, Fault]) -> Iterator[None]:
    """Meanwhile every book is as the faults that have struck would have it."""
    thin, crumbs = struck.get(FaultKind.THIN_BOOK), struck.get(FaultKind.MANY_TRADES)
    is_distorted = not DISTORTIONS.keys().isdisjoint(struck)
    if thin is None and crumbs is None and not is_distorted:
        yield
        return
    for market in markets:
        if is_distorted:
            market.shown = partial(distorted, symbol=market.symbol, struck=struck)
        market.depth_factor = thin.factor if thin else ONE
        market.pieces = crumbs.trades if crumbs else 1
    try:
        yield
    finally:
        for market in markets:
            market.depth_factor, market.pieces, market.shown = ONE, 1, None


def distorted(quote: Quote, *, symbol: Symbol, struck: Mapping[FaultKind, Fault]) -> Quote:
    """The quote as the faults that have struck a request show it."""
    for kind, distort in DISTORTIONS.items():
        fault = struck.get(kind)
        if fault is not None and fault.symbol in (None, symbol.name):
            quote = distort(quote, symbol, fault)
    return quote


def _frozen(quote: Quote, symbol: Symbol, fault: Fault) -> Quote:
    return fault.frozen.setdefault(symbol.name, quote)


def _wick(quote: Quote, symbol: Symbol, fault: Fault) -> Quote:
    bid = _moved(quote.bid, symbol, fault.percent)
    return quote._replace(bid=bid, ask=max(_moved(quote.ask, symbol, fault.percent), bid + symbol.tick))


def _one_sided(quote: Quote, symbol: Symbol, fault: Fault) -> Quote:
    return quote._replace(bid=ZERO) if fault.side == "bid" else quote._replace(ask=ZERO)


def _crossed(quote: Quote, symbol: Symbol, fault: Fault) -> Quote:
    return quote._replace(bid=max(_moved(quote.ask, symbol, abs(fault.percent)), quote.ask + symbol.tick))


def _wide(quote: Quote, symbol: Symbol, fault: Fault) -> Quote:
    if fault.side == "bid":
        return quote._replace(bid=_moved(quote.bid, symbol, -abs(fault.percent)))
    return quote._replace(ask=_moved(quote.ask, symbol, abs(fault.percent)))


DISTORTIONS: dict[FaultKind, Callable[[Quote, Symbol, Fault], Quote]] = {
    FaultKind.FROZEN_BOOK: _frozen,
    FaultKind.WICK: _wick,
    FaultKind.WIDE_BOOK: _wide,
    FaultKind.CROSSED_BOOK: _crossed,
    FaultKind.ONE_SIDED_BOOK: _one_sided,
}


def _moved(price: Decimal, symbol: Symbol, percent: Decimal) -> Decimal:
    return max(symbol.tick, round_down(price * (ONE + percent / HUNDRED), step=symbol.tick))
