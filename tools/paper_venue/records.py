"""What the venue remembers: orders, trades, transfers, and the events that change them.

Records never change in place: a later version replaces an earlier one, so a holder of one holds a fact. An event
carries every figure that applying it needs; nothing is computed again from a rate or a price at replay.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tools.paper_venue.amounts import ZERO


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(StrEnum):
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"

    @property
    def is_open(self) -> bool:
        return self in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


class Wallet(StrEnum):
    SPOT = "SPOT"
    FUNDING = "FUNDING"


@dataclass(frozen=True, slots=True)
class Order:
    """One order; ``price`` is zero for a market order, ``quote_quantity`` unless it was given in quote."""

    order_id: int
    account: str
    symbol: str
    client_order_id: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    executed_quantity: Decimal
    executed_quote: Decimal
    status: OrderStatus
    created_at_ms: int
    updated_at_ms: int
    prevention_mode: str = "EXPIRE_MAKER"

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.executed_quantity

    @property
    def locked(self) -> Decimal:
        """What the order holds back: quote for a buy, base for a sell; nothing once it is closed."""
        if not self.status.is_open:
            return ZERO
        return self.remaining * self.price if self.side is Side.BUY else self.remaining


@dataclass(frozen=True, slots=True)
class Trade:
    trade_id: int
    order_id: int
    account: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Transfer:
    transfer_id: int
    account: str
    source: Wallet
    target: Wallet
    asset: str
    amount: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True)
class Funded:
    """Money arrives from outside: an account's opening balance."""

    account: str
    wallet: Wallet
    asset: str
    amount: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order was placed, filled or cancelled: its new version and the trades that brought it there."""

    order: Order
    trades: tuple[Trade, ...]


@dataclass(frozen=True, slots=True)
class Transferred:
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class BurnSwitched:
    """Commission is from now on (not) taken from BNB."""

    account: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class PriceMarked:
    """Where a symbol's price stood, so that a restarted random walk goes on from there."""

    symbol: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class ReplayStarted:
    """When the replay of a recording began, so that a restarted one goes on where it would be."""

    recording: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ReplayStopped:
    """The venue was stopped properly: the next replay of this recording begins at its start again."""

    recording: str


@dataclass(frozen=True, slots=True)
class VenueOpened:
    """The first line of a journal: what tells this venue, and with it its accounts, from any other."""

    venue_id: str


Event = (
    Funded
    | OrderChanged
    | Transferred
    | BurnSwitched
    | PriceMarked
    | ReplayStarted
    | ReplayStopped
    | VenueOpened
)


def to_json(record: Any) -> Any:
    """A record as JSON data: amounts as strings, nothing lost."""
    if isinstance(record, Decimal):
        return str(record)
    if isinstance(record, tuple):
        return [to_json(item) for item in record]
    if hasattr(record, "__dataclass_fields__"):
        return {field.name: to_json(getattr(record, field.name)) for field in fields(record)}
    return record


def _order(data: dict[str, Any]) -> Order:
    return Order(
        **{
            **data,
            "side": Side(data["side"]),
            "order_type": OrderType(data["order_type"]),
            "time_in_force": TimeInForce(data["time_in_force"]),
            "status": OrderStatus(data["status"]),
            **_decimals(data, "price", "quantity", "quote_quantity", "executed_quantity", "executed_quote"),
        }
    )


def _trade(data: dict[str, Any]) -> Trade:
    amounts = _decimals(data, "price", "quantity", "quote_quantity", "commission")
    return Trade(**{**data, "side": Side(data["side"]), **amounts})


def _decimals(data: dict[str, Any], *names: str) -> dict[str, Decimal]:
    return {name: Decimal(data[name]) for name in names}


def event_to_json(event: Event) -> dict[str, Any]:
    return {"event": type(event).__name__, **to_json(event)}


def event_from_json(data: dict[str, Any]) -> Event:
    """The event that ``event_to_json`` wrote.

    Raises: KeyError, TypeError, ValueError or ArithmeticError if the data is no event.
    """
    body = dict(data)
    match body.pop("event"):
        case "OrderChanged":
            return OrderChanged(_order(body["order"]), tuple(_trade(item) for item in body["trades"]))
        case "Funded":
            return Funded(**{**body, "wallet": Wallet(body["wallet"]), **_decimals(body, "amount")})
        case "Transferred":
            moved = body["transfer"]
            wallets = {"source": Wallet(moved["source"]), "target": Wallet(moved["target"])}
            return Transferred(Transfer(**{**moved, **wallets, **_decimals(moved, "amount")}))
        case "BurnSwitched":
            return BurnSwitched(**body)
        case "PriceMarked":
            return PriceMarked(**{**body, **_decimals(body, "price")})
        case "ReplayStarted":
            return ReplayStarted(**body)
        case "ReplayStopped":
            return ReplayStopped(**body)
        case "VenueOpened":
            return VenueOpened(**body)
        case unknown:
            raise ValueError(f"unknown event {unknown!r}")
