"""The `feed` process: reads index prices from the venue and quotes every listed option at them, once a second.

A quote is only as good as its index: when the venue cannot be read nothing is written, quotes grow stale by
themselves, and orders are refused until prices are back. With each tick, failed or not, every coin is judged too.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import ccxt
import structlog
from django.conf import settings
from django.db import close_old_connections, connections, transaction
from django.utils import timezone

from config.exchange import new_exchange, read_markets
from config.leadership import Leadership, LeadershipLost, Term
from counter.expiring import expiry
from counter.market import chain, listing, quotes
from counter.market.model_quotes import model_quote
from counter.market.volatility import DEFAULT_SURFACE, VolatilitySurface, chain_surface
from counter.models import Option
from counter.trading import limits, trading_status

log = structlog.get_logger(__name__)

RELIST_EVERY = timedelta(minutes=1)
# Beat and the workers end options within seconds. Without them or their broker nobody else would.
EXPIRE_EVERY_SECONDS = 20.0
PRICE_UNIT = Decimal("0.00000001")


class IndexSource:
    """Index prices of all coins from the venue's public order books: the middle of bid and ask, in USDT."""

    def __init__(self) -> None:
        self._exchange: Any = None

    def prices(self) -> dict[str, Decimal]:
        """Prices by coin, 8 decimals.

        Raises: ccxt.BaseError; ValueError, ArithmeticError, KeyError or TypeError for an answer that makes no sense.
        """
        if self._exchange is None:
            exchange = new_exchange(
                client=settings.VENUE, url=settings.VENUE_URL, timeout_seconds=settings.VENUE_TIMEOUT_SECONDS
            )
            read_markets(exchange, settings.COINS.values())
            self._exchange = exchange
        books = self._exchange.fetch_bids_asks(list(settings.COINS.values()))
        return {coin: _middle(books[symbol]) for coin, symbol in settings.COINS.items()}


def _middle(book: Mapping[str, Any]) -> Decimal:
    bid, ask = Decimal(book["bid"]), Decimal(book["ask"])
    if not 0 < bid <= ask:
        raise ValueError(f"bid {bid}, ask {ask}")
    return ((bid + ask) / 2).quantize(PRICE_UNIT)


class Feed:
    """Lists options and quotes them; a recorded option chain among MARKET_DATA gives instruments and volatilities.

    Whatever it writes is written as the leader's, or not at all.
    """

    def __init__(self, source: IndexSource, term: Term) -> None:
        self._source = source
        self._term = term
        self._options: list[Option] = []
        self._listed_at: datetime | None = None
        self._surface: VolatilitySurface = DEFAULT_SURFACE
        self._recorded = next((path for path in settings.MARKET_DATA if chain.is_option_chain(path)), None)

    def tick(self, *, now: datetime) -> int:
        """Read the index, quote every living option; how many were quoted.

        Raises: what IndexSource.prices raises, LeadershipLost and database errors; nothing is written then.
        """
        prices = self._source.prices()
        if self._listed_at is None or now - self._listed_at >= RELIST_EVERY:
            self._list(prices, now)
        with self._writing():
            quotes.record_index(prices=prices, now=now)
        fresh = [self._quote(option, prices[option.underlying], now) for option in self._alive(now)]
        with self._writing():
            quotes.update_quotes(quotes=fresh, now=now)
        return len(fresh)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with transaction.atomic():
            self._term.fence()
            yield

    def _list(self, prices: Mapping[str, Decimal], now: datetime) -> None:
        if self._recorded is not None:
            rows = chain.shifted(chain.read_chain(self._recorded), now=now)
            self._surface = chain_surface(rows)
            offered = listing.chain_listings(row for row in rows if row.underlying in prices)
        else:
            offered = [
                option
                for coin, index in prices.items()
                for option in listing.listings(underlying=coin, index=index, now=now)
            ]
        with self._writing():
            quotes.list_options(listings=offered, now=now)
        self._options = list(Option.objects.filter(expires_at__gt=now, underlying__in=list(prices)))
        self._listed_at = now

    def _alive(self, now: datetime) -> list[Option]:
        return [option for option in self._options if option.expires_at > now]

    def _quote(self, option: Option, index: Decimal, now: datetime) -> quotes.NewQuote:
        made = model_quote(
            underlying=option.underlying,
            kind=option.kind,  # type: ignore[arg-type]
            strike=option.strike,
            expires_at=option.expires_at,
            index=index,
            surface=self._surface,
            now=now,
        )
        return quotes.NewQuote(
            symbol=option.symbol,
            bid=made.bid,
            ask=made.ask,
            mark=made.mark,
            implied_volatility=made.implied_volatility,
            index_price=index,
        )


def run(stopping: threading.Event) -> None:
    """Quote while this process leads, until told to stop; end what has expired if nobody else does."""
    threading.Thread(target=_expire_on, args=[stopping], name="expire", daemon=True).start()
    source = IndexSource()
    Leadership("feed", using="default").lead(partial(_quote_on, source, stopping), stopping=stopping)


def _expire_on(stopping: threading.Event) -> None:
    """Beside the quotes, so that these do not wait: what it does may be done by any number of processes."""
    while not stopping.wait(EXPIRE_EVERY_SECONDS):
        try:
            expiry.sweep(now=timezone.now())
        except Exception:
            log.exception("nothing has expired")
        close_old_connections()
    connections.close_all()  # this thread's own


def _quote_on(source: IndexSource, stopping: threading.Event, term: Term) -> None:
    """Tick until told to stop or another process leads; a tick that fails is logged and tried again."""
    feed = Feed(source, term)
    watch = trading_status.Watch(started_at=timezone.now(), term=term)
    series = limits.SeriesWatch(started_at=timezone.now(), term=term)
    failing = False
    while term.holds() and not stopping.is_set():
        started = time.monotonic()
        try:
            count = feed.tick(now=timezone.now())
            if failing or count == 0:
                log.info("quoting", options=count)
            failing = False
        except LeadershipLost:
            return
        except Exception as error:  # noqa: BLE001 - the feed outlives the venue and the database
            level = log.warning if isinstance(error, ccxt.BaseError) else log.exception
            if not failing:
                level("no fresh quotes", error=repr(error))
            failing = True
            close_old_connections()
        watch.tick(now=timezone.now())
        series.tick(now=timezone.now())
        stopping.wait(max(0.0, settings.QUOTE_EVERY_SECONDS - (time.monotonic() - started)))
