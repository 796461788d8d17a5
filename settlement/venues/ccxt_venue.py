"""A venue behind ccxt, spoken to in strings: amounts never become floats on the way out or back.

Guards the third outcome: ccxt's own retries are off, what it raises keeps what was heard (`ccxt_errors`), and an answer
that parses but names no order is no answer (`reading`).
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings

from infra.exchange.client import new_exchange, read_markets
from infra.exchange.host_breaker import small_number
from infra.exchange.lean_ccxt import ccxt
from infra.exchange.pushed_books import PushedBooks
from settlement.netting.net import Lot
from settlement.venues.ccxt_errors import heard, noting_answers
from settlement.venues.minutes import minutes_of
from settlement.venues.protocol import (
    PRICE_FRESH_SECONDS,
    Direction,
    Market,
    MinuteOfTrades,
    OrderReport,
    Side,
    TopOfBook,
    Trade,
    TradePage,
    TransferReport,
    VenueError,
    Wallet,
)
from settlement.venues.reading import finite, name_of, order_report, positive, raw, transfer_of, wallet_of
from settlement.venues.retrying_reads import retried
from settlement.venues.top_of_book import Tops, top_of
from settlement.venues.trade_pages import page_of_trades, trades_of_order, trades_since, transfers_between

log = structlog.get_logger(__name__)

VALUE_AGAIN_SECONDS = 10.0  # after a fee's asset had no price: nothing waits for it
RECEIVE_WINDOW_MS = 10_000
WALLET_NAMES = {"trading": "spot", "reserve": "funding"}
UNBOUNDED = Decimal("9000000000")


ORDER_COUNT_HEADER = "x-mbx-order-count-10s"
ORDER_COUNT_WINDOW_SECONDS = 10.0
FREE_PERCENT = 50  # of the allowance may be used without a pause


class CcxtVenue:
    """One ccxt exchange for each thread, sharing markets, prices and the difference to the venue's clock.

    `client` names a ccxt exchange class; `url` replaces its host (a testnet, the paper venue, a proxy).
    """

    def __init__(
        self, *, client: str, url: str, api_key: str, api_secret: str, timeout_seconds: float
    ) -> None:
        self.name = client
        self._url = url
        self._credentials = {"apiKey": api_key, "secret": api_secret}
        self._timeout_seconds = timeout_seconds
        self._local = threading.local()
        self._lock = threading.Lock()
        self._markets: dict[str, Any] | None = None
        self._markets_read_at = 0.0
        self._ahead_ms = 0  # of the venue's clock
        self._valueless_at: dict[str, float] = {}  # when it was asked for in vain
        self._tops = Tops(PushedBooks(client=client, url=url))
        self._order_count = (-ORDER_COUNT_WINDOW_SECONDS, 0)  # when it was told, and how many in the window

    def market(self, underlying: str) -> Market:
        with self._call() as exchange:
            entry = exchange.market(settings.COINS[underlying])  # BadSymbol when it is not listed (any more)
            limits = entry["limits"]
            return Market(
                underlying=underlying,
                symbol=entry["symbol"],
                lot=Lot(
                    step=positive(entry["precision"]["amount"]),
                    min_qty=Decimal(limits["amount"]["min"] or 0),
                    max_qty=Decimal(limits["amount"]["max"] or UNBOUNDED),
                    min_notional=Decimal(limits["cost"]["min"] or 0),
                ),
                max_notional=Decimal(limits["cost"]["max"] or UNBOUNDED),
                tick=positive(entry["precision"]["price"]),
                is_open=entry["active"] is not False,
            )

    def forget_markets(self) -> None:
        with self._lock:
            self._markets_read_at = float("-inf")

    @retried
    def why_closed(self, underlying: str = "") -> str:
        with self._call() as exchange:
            account = wallet_of(exchange, WALLET_NAMES["trading"])["info"]
        if isinstance(account, dict) and account.get("canTrade") is False:
            return "the account may not trade"
        if not underlying:
            return ""
        self.forget_markets()
        market = self.market(underlying)
        return "" if market.is_open else f"{market.symbol} is closed at the venue"

    @retried
    def top_of_book(self, underlying: str, *, within_seconds: float = PRICE_FRESH_SECONDS) -> TopOfBook:
        symbol = settings.COINS[underlying]
        if within_seconds and (known := self._tops.latest(symbol, within_seconds=within_seconds)) is not None:
            return known
        with self._call() as exchange:
            top = top_of(exchange.fetch_bids_asks([symbol])[symbol])
        self._tops.note_asked(symbol, top)
        return top

    def stamp(self) -> int:
        return int(self._exchange().nonce())

    def submit(
        self,
        *,
        underlying: str,
        client_order_id: str,
        side: Side,
        quantity: Decimal,
        limit_price: Decimal,
        stamp: int,
    ) -> OrderReport:
        with self._call() as exchange:
            order = exchange.create_order(
                settings.COINS[underlying],
                "limit",
                side,
                format(quantity, "f"),
                format(limit_price, "f"),
                {"timeInForce": "IOC", "clientOrderId": client_order_id, **self._in_time(stamp)},
            )
            self._note_order_count(exchange)
            return order_report(order, client_order_id)

    def pace_seconds(self) -> float:
        excess_percent = max(0, self.used_percent() - FREE_PERCENT)
        # At this pause the coins together use the allowance up exactly; half as much again balances it before that.
        even_seconds = len(settings.COINS) * ORDER_COUNT_WINDOW_SECONDS / settings.VENUE_ORDERS_PER_10S
        pause = even_seconds * 3 / 2 * (excess_percent / (100 - FREE_PERCENT)) ** 2
        return min(pause, ORDER_COUNT_WINDOW_SECONDS)  # by then the window has passed

    def used_percent(self) -> int:
        counted_at, count = self._order_count
        if time.monotonic() - counted_at > ORDER_COUNT_WINDOW_SECONDS:
            return 0
        return 100 * count // settings.VENUE_ORDERS_PER_10S

    def _note_order_count(self, exchange: Any) -> None:
        headers = {name.lower(): value for name, value in (exchange.last_response_headers or {}).items()}
        count = small_number(headers.get(ORDER_COUNT_HEADER, ""))
        if count is not None:
            self._order_count = (time.monotonic(), count)

    @retried
    def find(self, *, underlying: str, client_order_id: str) -> OrderReport | None:
        symbol = settings.COINS[underlying]
        with self._call() as exchange:
            try:
                order = exchange.fetch_order(None, symbol, {"clientOrderId": client_order_id})
            except ccxt.OrderNotFound:
                return None
            if Decimal(order["filled"] or 0) > 0:
                order["trades"] = trades_of_order(exchange, symbol, order["id"])
            return order_report(order, client_order_id)

    @retried
    def trades(self, *, underlying: str, since: datetime) -> list[Trade]:
        with self._call() as exchange:
            return trades_since(exchange, settings.COINS[underlying], since)

    @retried
    def page_of_trades(
        self, *, underlying: str, since: datetime, until: datetime, after: str = ""
    ) -> TradePage:
        with self._call() as exchange:
            return page_of_trades(exchange, settings.COINS[underlying], since=since, until=until, after=after)

    @retried
    def minutes(self, *, underlying: str, first: datetime, count: int) -> list[MinuteOfTrades]:
        with self._call() as exchange:
            return minutes_of(exchange, settings.COINS[underlying], first, count)

    @retried
    def client_order_id(self, *, underlying: str, venue_order_id: str) -> str | None:
        with self._call() as exchange:
            try:
                order = exchange.fetch_order(venue_order_id, settings.COINS[underlying])
            except ccxt.OrderNotFound:
                return None
            if not order.get("clientOrderId"):
                raise VenueError(kind="BadAnswer", message="an order without a client id", raw=raw(order))
            return str(order["clientOrderId"])

    @retried
    def account_id(self) -> str:
        with self._call() as exchange:
            account = wallet_of(exchange, WALLET_NAMES["trading"])["info"]
            told = account.get("uid") if isinstance(account, dict) else None
            return "" if told is None else name_of(told)

    @retried
    def balances(self, wallet: Wallet) -> dict[str, Decimal]:
        if wallet == "reserve" and not settings.VENUE_HAS_RESERVE:
            return {}
        with self._call() as exchange:
            answer = wallet_of(exchange, WALLET_NAMES[wallet])
            return {
                name_of(asset): finite(total) for asset, total in answer["total"].items() if total is not None
            }

    def value_in_usdt(self, asset: str) -> Decimal:
        if asset == "USDT":
            return Decimal(1)
        if time.monotonic() - self._valueless_at.get(asset, -VALUE_AGAIN_SECONDS) < VALUE_AGAIN_SECONDS:
            raise VenueError(kind="BadAnswer", message=f"{asset} had no price a moment ago")
        try:
            with self._call() as exchange:
                symbol = f"{asset}/USDT"
                ticker = exchange.fetch_bids_asks([symbol])[symbol]
                return top_of(ticker).mid
        except VenueError:
            self._valueless_at[asset] = time.monotonic()
            raise

    def transfer(self, *, asset: str, amount: Decimal, direction: Direction, stamp: int) -> str:
        origin, target = ("reserve", "trading") if direction == "to_trading" else ("trading", "reserve")
        with self._call() as exchange:
            answer = exchange.transfer(
                asset,
                format(amount, "f"),
                WALLET_NAMES[origin],
                WALLET_NAMES[target],
                self._in_time(stamp),
            )
            if not answer.get("id"):
                raise VenueError(kind="BadAnswer", message="a transfer without an id", raw=raw(answer))
            return name_of(answer["id"])

    @retried
    def transfers(self, *, asset: str, since: datetime) -> list[TransferReport]:
        found = []
        with self._call() as exchange:
            for direction, (origin, target) in (
                ("to_trading", ("reserve", "trading")),
                ("to_reserve", ("trading", "reserve")),
            ):
                moved = transfers_between(exchange, since, WALLET_NAMES[origin], WALLET_NAMES[target])
                found += [
                    transfer_of(entry, direction)  # type: ignore[arg-type]
                    for entry in moved
                    if entry["currency"] == asset
                ]
        return found

    def _in_time(self, stamp: int) -> dict[str, int]:
        """What makes the venue refuse a request that arrives too late."""
        return {"timestamp": stamp, "recvWindow": RECEIVE_WINDOW_MS} if self.name == "binance" else {}

    def _exchange(self) -> Any:
        """This thread's exchange, with markets that are not too old.

        Raises: VenueError when there are no markets yet and they cannot be had.
        """
        if not hasattr(self._local, "exchange"):
            exchange = new_exchange(
                client=self.name, url=self._url, timeout_seconds=self._timeout_seconds, **self._credentials
            )
            exchange.on_rest_response = noting_answers(exchange)
            self._local.exchange, self._local.markets = exchange, None
        exchange = self._local.exchange
        with self._lock:
            if (
                self._markets is None
                or time.monotonic() - self._markets_read_at > settings.VENUE_MARKETS_EVERY_SECONDS
            ):
                self._read_markets(exchange)
            if self._local.markets is not self._markets:
                exchange.set_markets(self._markets)
                self._local.markets = self._markets
            exchange.options["timeDifference"] = self._ahead_ms
        return exchange

    def _read_markets(self, exchange: Any) -> None:
        """Filters and clock; those of before are used when they cannot be read again. Raises: VenueError."""
        self._local.markets = None  # what is read, also if it is of no use, replaces what this exchange has
        try:
            with heard(exchange):
                self._markets = read_markets(exchange, settings.COINS.values())
                if exchange.has["fetchTime"]:
                    self._ahead_ms = exchange.load_time_difference()
        except VenueError as error:
            if self._markets is None:
                raise
            log.warning("markets and clock cannot be read again", error=str(error))
        self._markets_read_at = time.monotonic()

    @contextmanager
    def _call(self) -> Iterator[Any]:
        exchange = self._exchange()
        try:
            with heard(exchange):
                yield exchange
        except VenueError as error:
            if error.kind == "InvalidNonce":
                self._markets_read_at = float("-inf")  # the clocks are compared again before the next call
            raise


_venue: CcxtVenue | None = None
_venue_lock = threading.Lock()


def venue() -> CcxtVenue:
    """The configured venue, one object a process."""
    global _venue
    with _venue_lock:
        if _venue is None:
            _venue = CcxtVenue(
                client=settings.VENUE,
                url=settings.VENUE_URL,
                api_key=settings.VENUE_API_KEY,
                api_secret=settings.VENUE_API_SECRET,
                timeout_seconds=settings.VENUE_TIMEOUT_SECONDS,
            )
        return _venue
