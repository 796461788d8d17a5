"""What the desk needs of any venue: markets, one IOC order at a time, the truth about it, wallets.

Amounts are Decimal. A call either returns, or raises VenueError, which names what was heard without judging it;
`settlement.venues.error_table` decides whether that means done, not done or unknown.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal, Protocol

from ledger.decimals import EXACT, quotient
from settlement.netting.net import Lot

Side = Literal["buy", "sell"]
Wallet = Literal["trading", "reserve"]
Direction = Literal["to_trading", "to_reserve"]
TransferState = Literal["done", "pending", "failed"]

PRICE_UNIT = Decimal("0.00000001")
PRICE_FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Market:
    """A coin's market against USDT: filters in coin and (`max_notional`) USDT, `tick` the price step.

    `is_open` unless the venue shows that it takes no orders.
    """

    underlying: str
    symbol: str
    lot: Lot
    max_notional: Decimal
    tick: Decimal
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class TopOfBook:
    """Best prices, USDT for one coin."""

    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        """Halfway between bid and ask, to 8 decimals, half-even."""
        return quotient(EXACT.add(self.bid, self.ask), 2, unit=PRICE_UNIT, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of an order: `coin` at `price` for exactly `usdt`; `fee` taken in `fee_asset`."""

    venue_trade_id: str
    venue_order_id: str
    side: Side
    price: Decimal
    coin: Decimal
    usdt: Decimal
    fee: Decimal
    fee_asset: str
    traded_at: datetime


@dataclass(frozen=True, slots=True)
class TradePage:
    """Trades that follow each other, oldest first; `last_id` is of the last that was told, blank for none."""

    trades: tuple[Trade, ...]
    last_id: str
    is_last: bool


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the venue tells it; `final` when nothing more can happen to it."""

    client_order_id: str
    venue_order_id: str
    final: bool
    filled_coin: Decimal
    filled_usdt: Decimal
    trades: tuple[Trade, ...]
    raw: str


@dataclass(frozen=True, slots=True)
class TransferReport:
    """A movement between the two wallets in the venue's history."""

    venue_transfer_id: str
    asset: str
    amount: Decimal
    direction: Direction
    state: TransferState
    at: datetime

    @property
    def done(self) -> bool:
        """Whether the funds have moved."""
        return self.state == "done"


@dataclass(frozen=True, slots=True)
class MinuteOfTrades:
    """All trades of a market in one minute: so much coin for so much USDT, at prices from `low` to `high`."""

    begins_at: datetime
    coin: Decimal
    usdt: Decimal
    low: Decimal
    high: Decimal


class VenueError(Exception):
    """A call that did not give a usable answer.

    `kind` names the sort of failure (a ccxt exception class or one of `error_table.OWN_KINDS`), `code` is the venue's
    own, `status` HTTP's (None: nothing came), `retry_after_seconds` what it asked for, `raw` the answer as it came.
    """

    def __init__(
        self,
        *,
        kind: str,
        code: str = "",
        message: str = "",
        status: int | None = None,
        retry_after_seconds: float | None = None,
        raw: str = "",
    ) -> None:
        super().__init__(f"{kind} {code}: {message}")
        self.kind = kind
        self.code = code
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.raw = raw


class Venue(Protocol):
    """A trading venue; every method may raise VenueError."""

    name: str

    def market(self, underlying: str) -> Market:
        """Filters of the coin's market, cached."""

    def forget_markets(self) -> None:
        """Read filters and states of the markets anew before they are used again."""

    def why_closed(self, underlying: str = "") -> str:
        """What speaks against its taking orders (of a coin), by a signed question and what it shows of the market;
        blank when nothing does."""

    def top_of_book(self, underlying: str, *, within_seconds: float = PRICE_FRESH_SECONDS) -> TopOfBook:
        """Best bid and ask that were received no longer ago than that; with 0 they are asked for anew."""

    def stamp(self) -> int:
        """The venue's clock in milliseconds. What is sent with a stamp is refused by the venue itself when it arrives
        too long after it, so that a sender that slept between its commit and its call cannot do harm."""

    def pace_seconds(self) -> float:
        """How long to gather orders before the next one is sent, so that the venue's allowance lasts; mostly 0."""

    def used_percent(self) -> int:
        """How much of the venue's allowance of orders is used, as far as this process has heard; 100: all of it."""

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
        """Send a limit order, immediate or cancel."""

    def find(self, *, underlying: str, client_order_id: str) -> OrderReport | None:
        """The order under our id with all its trades, or None when the venue says it knows none."""

    def trades(self, *, underlying: str, since: datetime) -> list[Trade]:
        """All trades of the account in the coin's market since a moment, oldest first."""

    def page_of_trades(
        self, *, underlying: str, since: datetime, until: datetime, after: str = ""
    ) -> TradePage:
        """Of those before `until` the first ones, or those after the trade of that id: `trade_pages.all_pages`."""

    def minutes(self, *, underlying: str, first: datetime, count: int) -> list[MinuteOfTrades]:
        """What everybody traded in the coin's market in up to `count` minutes from `first` on, those that it has."""

    def client_order_id(self, *, underlying: str, venue_order_id: str) -> str | None:
        """The client id of an order known by the venue's own id, or None when the venue says it knows none."""

    def account_id(self) -> str:
        """The venue's name of the account that the key is of; blank when it tells none."""

    def balances(self, wallet: Wallet) -> dict[str, Decimal]:
        """Totals by asset, free and locked."""

    def value_in_usdt(self, asset: str) -> Decimal:
        """USDT for one unit of any asset, to value a fee taken in it."""

    def transfer(self, *, asset: str, amount: Decimal, direction: Direction, stamp: int) -> str:
        """Move funds between the wallets; returns the venue's transfer id."""

    def transfers(self, *, asset: str, since: datetime) -> list[TransferReport]:
        """The wallets' transfer history of one asset since a moment."""
