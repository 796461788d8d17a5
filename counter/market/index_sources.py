"""Where samples of the index come from: the public order books of the venue and of other exchanges, through ccxt.

Each source is read in a thread of its own and only asked again once it has answered: one that is slow, dead or odd
keeps nobody waiting but itself. What it says of one coin never spoils what it says of another.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from counter.market.index_bounds import Book, Cause
from infra.exchange.client import READ_ON_SECONDS, new_exchange
from infra.exchange.lean_ccxt import ccxt, has_exchange

log = structlog.get_logger(__name__)

# A source without one of our symbols may list it later, or have sent half of its list.
LIST_AGAIN_EVERY = timedelta(minutes=1)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source said when it was asked at `asked_at`: a book or a cause for each coin."""

    asked_at: datetime
    books: Mapping[str, Book | Cause] = field(default_factory=dict)


class Source(Protocol):
    """Something that can be asked for the books of all coins and answers when it can."""

    name: str

    def ask(self, *, now: datetime) -> None:
        """Begin to read, unless an earlier reading is under way."""

    def answer(self, *, within_seconds: float) -> Answer | None:
        """The latest answer, after waiting so long for the one that this moment's question brings."""


class ExchangeSource:
    """The books of COINS at one exchange: `client` names a ccxt class, `url` (unless blank) replaces its host."""

    def __init__(self, *, name: str, client: str, url: str) -> None:
        self.name = name
        self._client = client
        self._url = url
        self._exchange: Any = None
        self._listed_at = NEVER
        self._reading: threading.Thread | None = None
        self._latest: Answer | None = None
        self._waited_for: threading.Thread | None = None

    def ask(self, *, now: datetime) -> None:
        if self._reading is not None and self._reading.is_alive():
            return
        self._reading = threading.Thread(
            target=self._read, args=[now], name=f"index {self.name}", daemon=True
        )
        self._reading.start()

    def answer(self, *, within_seconds: float) -> Answer | None:
        # A reading that was waited for once in vain is not waited for again.
        if self._reading is not None and self._waited_for is not self._reading:
            self._waited_for = self._reading
            self._reading.join(within_seconds)
        return self._latest

    def _read(self, now: datetime) -> None:
        try:
            self._latest = Answer(now, self._books(now))
        except Exception as error:  # noqa: BLE001 - the others go on after any error of one source
            log.debug("index source unreachable", source=self.name, error=repr(error))
            self._latest = Answer(now, dict.fromkeys(settings.COINS, Cause.UNREACHABLE))

    def _books(self, now: datetime) -> dict[str, Book | Cause]:
        exchange = self._listed(now)
        listed = {coin: symbol for coin, symbol in settings.COINS.items() if symbol in exchange.markets}
        found: dict[str, Book | Cause] = dict.fromkeys(settings.COINS, Cause.UNLISTED)
        if not listed:
            return found
        try:
            tickers = _tickers(exchange, list(listed.values()))
        except ccxt.OperationFailed:
            raise
        except Exception:  # noqa: BLE001 - a refusal or an answer that cannot be read: of one symbol, perhaps
            tickers = None
        for coin, symbol in listed.items():
            found[coin] = self._book(exchange, symbol, tickers, now)
        return found

    def _book(
        self, exchange: Any, symbol: str, tickers: Mapping[str, Any] | None, now: datetime
    ) -> Book | Cause:
        try:
            ticker = (_tickers(exchange, [symbol]) if tickers is None else tickers)[symbol]
            at = datetime.fromtimestamp(ticker["timestamp"] / 1000, UTC) if ticker.get("timestamp") else now
            return Book(self.name, _text(ticker["bid"]), _text(ticker["ask"]), at)
        except ccxt.OperationFailed:
            return Cause.UNREACHABLE
        except Exception:  # noqa: BLE001 - what cannot be read is no price
            return Cause.MALFORMED

    def _listed(self, now: datetime) -> Any:
        """The exchange with its markets, read anew now and then while one of our symbols is not among them."""
        exchange = self._exchange or new_exchange(
            client=self._client, url=self._url, timeout_seconds=settings.INDEX_TIMEOUT_SECONDS
        )
        if self._exchange is None:
            self._list(exchange)
            self._exchange, self._listed_at = exchange, now
        elif self._lacks(exchange) and abs(now - self._listed_at) >= LIST_AGAIN_EVERY:
            self._listed_at = now
            with suppress(Exception):  # what it listed before goes on
                self._list(exchange)
        return exchange

    def _list(self, exchange: Any) -> None:
        """Raises: ccxt.BaseError; ccxt.BadResponse for a list with none of our symbols, which is no list."""
        _bound(exchange, settings.VENUE_TIMEOUT_SECONDS)  # a list of all markets has megabytes
        try:
            exchange.load_markets(True)
        finally:
            _bound(exchange, settings.INDEX_TIMEOUT_SECONDS)
        if self._lacks(exchange) == set(settings.COINS.values()):
            raise ccxt.BadResponse(f"{exchange.id} lists none of {', '.join(settings.COINS.values())}")

    @staticmethod
    def _lacks(exchange: Any) -> set[str]:
        return set(settings.COINS.values()) - (exchange.markets or {}).keys()


def configured() -> list[Source]:
    """The venue's own book, and those of INDEX_SOURCES.

    Raises: ImproperlyConfigured for an exchange that ccxt does not know.
    """
    given = [(settings.VENUE, settings.VENUE_URL), *settings.INDEX_SOURCES]
    wanted = list(dict.fromkeys(given))  # the venue may be named again
    if unknown := sorted({client for client, _ in wanted if not has_exchange(client)}):
        raise ImproperlyConfigured(f"INDEX_SOURCES: ccxt has no exchange {', '.join(unknown)}")
    return [
        ExchangeSource(name=name, client=client, url=url)
        for name, (client, url) in zip(_names([client for client, _ in wanted]), wanted, strict=True)
    ]


def _names(clients: Sequence[str]) -> list[str]:
    """An exchange's id, with a number from its second use on."""
    seen: Counter[str] = Counter()
    names = []
    for client in clients:
        seen[client] += 1
        names.append(client if seen[client] == 1 else f"{client}-{seen[client]}")
    return names


def _tickers(exchange: Any, symbols: list[str]) -> Mapping[str, Any]:
    """ccxt's tickers by symbol, by whichever call of the exchange gives the top of the book."""
    if exchange.has.get("fetchBidsAsks"):
        return exchange.fetch_bids_asks(symbols)
    if exchange.has.get("fetchTickers"):
        return exchange.fetch_tickers(symbols)
    return {symbol: exchange.fetch_ticker(symbol) for symbol in symbols}


def _text(side: object) -> str | None:
    return None if side is None else str(side)


def _bound(exchange: Any, seconds: float) -> None:
    exchange.timeout = int(seconds * 1000)
    exchange.session.within_seconds = seconds + READ_ON_SECONDS
