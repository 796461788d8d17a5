"""A venue behind ccxt, spoken to in strings: amounts never become floats on the way out or back.

Guards the third outcome: ccxt's own retries are off, a fresh connection that was refused is told apart from one that
broke, and an answer that parses but names no order is no answer.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import ccxt
from django.conf import settings
from urllib3.exceptions import NewConnectionError

from config.exchange import new_exchange
from settlement.netting import Lot
from settlement.venues.protocol import (
    Direction,
    Market,
    OrderReport,
    Side,
    TopOfBook,
    Trade,
    TransferReport,
    VenueError,
    Wallet,
)

PRICE_FRESH_SECONDS = 1.0
HISTORY_PAGE = 1000
WALLET_NAMES = {"trading": "spot", "reserve": "funding"}
UNBOUNDED = Decimal("9000000000")


class CcxtVenue:
    """One ccxt exchange for each thread, sharing markets and prices.

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
        self._tops: dict[str, tuple[float, TopOfBook]] = {}

    def market(self, underlying: str) -> Market:
        exchange = self._exchange()
        entry = exchange.markets[settings.COINS[underlying]]
        limits = entry["limits"]
        return Market(
            underlying=underlying,
            symbol=entry["symbol"],
            lot=Lot(
                step=Decimal(entry["precision"]["amount"]),
                min_qty=Decimal(limits["amount"]["min"] or 0),
                max_qty=Decimal(limits["amount"]["max"] or UNBOUNDED),
                min_notional=Decimal(limits["cost"]["min"] or 0),
            ),
            tick=Decimal(entry["precision"]["price"]),
        )

    def top_of_book(self, underlying: str) -> TopOfBook:
        read_at, top = self._tops.get(underlying, (0.0, None))
        if top is None or time.monotonic() - read_at > PRICE_FRESH_SECONDS:
            with self._call() as exchange:
                symbol = settings.COINS[underlying]
                ticker = exchange.fetch_bids_asks([symbol])[symbol]
                top = TopOfBook(bid=_positive(ticker["bid"]), ask=_positive(ticker["ask"]))
            self._tops[underlying] = (time.monotonic(), top)
        return top

    def submit(
        self, *, underlying: str, client_order_id: str, side: Side, quantity: Decimal, limit_price: Decimal
    ) -> OrderReport:
        with self._call() as exchange:
            order = exchange.create_order(
                settings.COINS[underlying],
                "limit",
                side,
                format(quantity, "f"),
                format(limit_price, "f"),
                {"timeInForce": "IOC", "newClientOrderId": client_order_id},
            )
            report = self._order_report(exchange, order)
            if report.client_order_id != client_order_id:
                raise VenueError(kind="BadAnswer", message="another order's id", raw=report.raw)
            return report

    def find(self, *, underlying: str, client_order_id: str) -> OrderReport | None:
        symbol = settings.COINS[underlying]
        with self._call() as exchange:
            try:
                order = exchange.fetch_order(None, symbol, {"origClientOrderId": client_order_id})
            except ccxt.OrderNotFound:
                return None
            if Decimal(order["filled"] or 0) > 0:
                order["trades"] = exchange.fetch_my_trades(
                    symbol, None, HISTORY_PAGE, {"orderId": order["id"]}
                )
            report = self._order_report(exchange, order)
            if sum((trade.coin for trade in report.trades), Decimal(0)) != report.filled_coin:
                raise VenueError(kind="BadAnswer", message="trades lag behind their order", raw=report.raw)
            return report

    def trades(self, *, underlying: str, since: datetime) -> list[Trade]:
        symbol = settings.COINS[underlying]
        found: list[Trade] = []
        parameters: dict[str, Any] = {"startTime": int(since.timestamp() * 1000)}
        with self._call() as exchange:
            while True:
                page = exchange.fetch_my_trades(symbol, None, HISTORY_PAGE, parameters)
                found += [_trade(trade) for trade in page]
                if len(page) < HISTORY_PAGE:
                    return found
                parameters = {"fromId": int(page[-1]["id"]) + 1}

    def balances(self, wallet: Wallet) -> dict[str, Decimal]:
        with self._call() as exchange:
            answer = exchange.fetch_balance({"type": WALLET_NAMES[wallet]})
            return {asset: Decimal(total) for asset, total in answer["total"].items() if total is not None}

    def value_in_usdt(self, asset: str) -> Decimal:
        if asset == "USDT":
            return Decimal(1)
        with self._call() as exchange:
            symbol = f"{asset}/USDT"
            ticker = exchange.fetch_bids_asks([symbol])[symbol]
            return TopOfBook(bid=_positive(ticker["bid"]), ask=_positive(ticker["ask"])).mid

    def transfer(self, *, asset: str, amount: Decimal, direction: Direction) -> str:
        origin, target = ("reserve", "trading") if direction == "to_trading" else ("trading", "reserve")
        with self._call() as exchange:
            answer = exchange.transfer(asset, format(amount, "f"), WALLET_NAMES[origin], WALLET_NAMES[target])
            if not answer.get("id"):
                raise VenueError(kind="BadAnswer", message="a transfer without an id", raw=_raw(answer))
            return str(answer["id"])

    def transfers(self, *, asset: str, since: datetime) -> list[TransferReport]:
        found = []
        with self._call() as exchange:
            for direction, (origin, target) in (
                ("to_trading", ("reserve", "trading")),
                ("to_reserve", ("trading", "reserve")),
            ):
                page = exchange.fetch_transfers(
                    asset,
                    int(since.timestamp() * 1000),
                    100,
                    {"fromAccount": WALLET_NAMES[origin], "toAccount": WALLET_NAMES[target]},
                )
                found += [_transfer(entry, direction) for entry in page]  # type: ignore[arg-type]
        return found

    def _exchange(self) -> Any:
        if not hasattr(self._local, "exchange"):
            self._local.exchange = self._connected()
        return self._local.exchange

    def _connected(self) -> Any:
        exchange = new_exchange(
            client=self.name, url=self._url, timeout_seconds=self._timeout_seconds, **self._credentials
        )
        with self._lock:
            if self._markets is None:
                with self._heard(exchange):
                    exchange.load_markets()
                self._markets = exchange.markets
            else:
                exchange.set_markets(self._markets)
        return exchange

    @contextmanager
    def _call(self) -> Iterator[Any]:
        exchange = self._exchange()
        with self._heard(exchange):
            yield exchange

    @contextmanager
    def _heard(self, exchange: Any) -> Iterator[None]:
        """Turn whatever a call raises into a VenueError that keeps what was heard."""
        exchange.last_http_response = None
        try:
            yield
        except VenueError:
            raise
        except ccxt.BaseError as error:
            raise VenueError(
                kind="NotConnected" if _never_connected(error) else type(error).__name__,
                code=_code(exchange.last_json_response) if exchange.last_http_response else "",
                message=str(error)[:500],
                retry_after_seconds=_retry_after(exchange),
                raw=exchange.last_http_response or "",
            ) from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise VenueError(
                kind="BadAnswer", message=repr(error), raw=exchange.last_http_response or ""
            ) from error

    def _order_report(self, exchange: Any, order: dict[str, Any]) -> OrderReport:
        if not order.get("id") or not order.get("status") or not order.get("clientOrderId"):
            raise VenueError(kind="BadAnswer", message="no order in the answer", raw=_raw(order))
        placed_at = order.get("timestamp")
        trades = tuple(
            _trade({"timestamp": placed_at, "order": order["id"]} | _known(t)) for t in order["trades"]
        )
        report = OrderReport(
            client_order_id=order["clientOrderId"],
            venue_order_id=str(order["id"]),
            final=order["status"] != "open",
            filled_coin=Decimal(order["filled"] or 0),
            filled_usdt=Decimal(order["cost"] or 0),
            trades=trades,
            raw=_raw(order),
        )
        if sum((trade.coin for trade in trades), Decimal(0)) != report.filled_coin:
            raise VenueError(kind="BadAnswer", message="fills do not add up to the order", raw=report.raw)
        return report


def _known(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}


def _trade(trade: dict[str, Any]) -> Trade:
    fee = trade.get("fee") or {}
    return Trade(
        venue_trade_id=str(trade["id"]),
        venue_order_id=str(trade["order"]),
        price=_positive(trade["price"]),
        coin=_positive(trade["amount"]),
        usdt=_positive(trade["cost"]),
        fee=Decimal(fee.get("cost") or 0),
        fee_asset=fee.get("currency") or "USDT",
        traded_at=_moment(trade["timestamp"]),
    )


def _transfer(entry: dict[str, Any], direction: Direction) -> TransferReport:
    return TransferReport(
        venue_transfer_id=str(entry["id"]),
        asset=entry["currency"],
        amount=Decimal(entry["amount"]),
        direction=direction,
        done=entry["status"] == "ok",
        at=_moment(entry["timestamp"]),
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, tz=UTC).replace(
        microsecond=milliseconds % 1000 * 1000
    )


def _positive(text: str | None) -> Decimal:
    value = Decimal(text or 0)
    if not value.is_finite() or value <= 0:
        raise ValueError(f"not a positive amount: {text!r}")
    return value


def _raw(order: dict[str, Any]) -> str:
    return json.dumps(order.get("info", order), default=str)


def _code(answer: Any) -> str:
    return str(answer.get("code", "")) if isinstance(answer, dict) else ""


def _retry_after(exchange: Any) -> float | None:
    headers = exchange.last_response_headers or {}
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _never_connected(error: BaseException | None) -> bool:
    """Whether the failure was to open a connection, so that no byte of the request can have left."""
    while error is not None:
        reason = getattr(error.args[0], "reason", None) if error.args else None
        if isinstance(error, NewConnectionError) or isinstance(reason, NewConnectionError):
            return True
        error = error.__cause__ or error.__context__
    return False


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
