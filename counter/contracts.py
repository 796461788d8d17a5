"""What counter and the desk say to each other: frozen, versioned messages; the only module of counter others import.

A message is decoded strictly: unknown fields, wrong types, times without a zone and amounts that are not finite are
refused. An amount never passes through a float: msgspec reads the digits of the text.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

VERSION = 1
DESK_TAG, WALLET_TAG = "crossbook-desk", "crossbook-wallet"  # what a signed call of counter is for
M = TypeVar("M", bound="Message")

OrderKind = Literal["OPEN", "CLOSE", "EXERCISE"]
Payout = Literal["instant", "at_fill"]
# A payout at fill is what the venue paid, but differs from the fair value of its order by no more than this part of it:
# the coin was priced when the order was taken, and is sold later. What goes beyond is the desk's, up or down.
AT_FILL_TOLERANCE_RATE = Decimal("0.02")
Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Moment = Annotated[datetime, Meta(tz=True)]

COIN_DECIMALS = 8
USDT_DECIMALS = 6
MAX_COIN = Decimal(10**12)  # what 20 digits hold, 8 of them decimals


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all messages: immutable, strict."""


class SyncEvent(Message, frozen=True):
    """One customer's order as the desk has to settle it.

    `coin` (8 decimals) is what the options book gets on OPEN and gives otherwise; `fair` (USDT, 6 decimals) is what
    counter owes the desk for it on OPEN, and what the desk owes counter otherwise, unless `payout` is at_fill: then
    the desk owes what the venue really paid, less its fee, within AT_FILL_TOLERANCE_RATE of `fair`.
    """

    source: str
    order_id: Id
    kind: OrderKind
    symbol: str
    underlying: str
    contracts: int
    coin: Decimal
    index_price: Decimal
    fair: Decimal
    payout: Payout
    placed_at: Moment
    version: int = VERSION

    def __post_init__(self) -> None:
        if not (self.coin.is_finite() and self.index_price.is_finite() and self.fair.is_finite()):
            raise ValueError(f"order {self.order_id}: an amount is not finite")


class SyncBatch(Message, frozen=True):
    """The sync events of one committed transaction."""

    events: list[SyncEvent]
    version: int = VERSION


class OrderHistory(Message, frozen=True):
    """Orders by their ids, in any state, and the settlements of those that are settled."""

    events: list[SyncEvent]
    reports: list["SettlementReport"]
    version: int = VERSION


class Acknowledgement(Message, frozen=True):
    """Order ids that the desk has stored durably."""

    source: str
    order_ids: list[Id]
    version: int = VERSION


_REPORTED_UNITS = tuple(
    Decimal(1).scaleb(-decimals) for decimals in (COIN_DECIMALS, COIN_DECIMALS, COIN_DECIMALS, USDT_DECIMALS)
)


class SettlementReport(Message, frozen=True):
    """How one order was settled: `price` USDT for one coin, `value` its worth at that price, `fee` its share of the
    venue's commission, `due` (6 decimals) what passed between counter and desk for it."""

    order_id: Id
    conversion_id: Id
    price: Decimal
    value: Decimal
    fee: Decimal
    due: Decimal
    settled_at: Moment

    def __post_init__(self) -> None:
        # What has more digits than are kept would differ from itself when it is reported again.
        for amount, unit in zip((self.price, self.value, self.fee, self.due), _REPORTED_UNITS, strict=True):
            if not amount.same_quantum(unit):  # the desk's own amounts have the scale that is kept
                _check_scale(self.order_id, amount, -unit.adjusted())


def _check_scale(order_id: int, amount: Decimal, decimals: int) -> None:
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -decimals:
        raise ValueError(f"order {order_id}: {amount} is not an amount of {decimals} decimals")


class SettlementBatch(Message, frozen=True):
    """Settlements of one source, reported together."""

    source: str
    reports: list[SettlementReport]
    version: int = VERSION


class SettlementAnswer(Message, frozen=True, omit_defaults=True):
    """Which reports counter has taken (now or before) and which contradict what it already holds or does not know.

    `held`: it could not look at these, because somebody held their order or account; they are to be told again soon.
    It is left out when empty: a desk of the release before refuses a field that it does not know.
    """

    taken: list[int]
    refused: list[int]
    held: list[int] = []


class CoinCondition(Message, frozen=True, omit_defaults=True):
    """How one coin stands at the desk.

    `unhedged_coin` (8 decimals) is still to be bought (positive) or sold (negative) at the venue, what may have been
    among it. `doubtful_since` is when the oldest conversion was sent whose outcome is unknown or a person's to find.
    `doubtful_coin` (8 decimals) is how much the orders of such conversions come to, opens and closes alike; None if the
    desk does not say. `venue_ms` is how long the venue lately took to answer.
    """

    underlying: Annotated[str, Meta(min_length=1, max_length=8)]
    unhedged_coin: Decimal
    venue_halted_since: Moment | None = None
    doubtful_since: Moment | None = None
    venue_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 0
    # Last, and left out while there is none: a counter of an earlier release refuses what it does not know.
    doubtful_coin: Decimal | None = None

    def __post_init__(self) -> None:
        for coin in (self.unhedged_coin, self.doubtful_coin or Decimal(0)):
            if not coin.is_finite() or abs(coin) >= MAX_COIN:
                raise ValueError(f"{self.underlying}: {coin} is not an amount of coin")


class DeskConditions(Message, frozen=True):
    """The desk's condition at `as_of`, by its own clock; of two that arrive the later one counts."""

    source: str
    as_of: Moment
    coins: list[CoinCondition]
    version: int = VERSION


class HighestOrder(Message, frozen=True):
    """The highest order id of `source` that the desk has ever held."""

    source: str
    order_id: Id
    version: int = VERSION


class ConditionsAnswer(Message, frozen=True):
    """Coins of which counter had heard nothing later."""

    taken: list[str]


class ClearingSum(Message, frozen=True):
    """What counter's clearing account got of `asset` from the `orders` of one run of order ids, which begins at
    `first_id`: positive is owed to the desk."""

    first_id: Id
    orders: int
    asset: str
    amount: Decimal


class ClearingSums(Message, frozen=True):
    """Clearing up to order `until_id`; `is_all` when no older order comes after it. `of_no_order` should be zero."""

    sums: list[ClearingSum]
    until_id: int
    is_all: bool
    of_no_order: Decimal
    version: int = VERSION


class ClearingPaid(Message, frozen=True):
    """A payment that two people of the desk have approved: `amount` is positive, of 6 decimals at most."""

    source: str
    reference: Annotated[str, Meta(min_length=1, max_length=64)]
    asset: Annotated[str, Meta(min_length=1, max_length=64)]
    direction: Literal["to_desk", "to_counter"]
    amount: Decimal
    requested_by: Annotated[str, Meta(max_length=150)]
    approved_by: Annotated[str, Meta(max_length=150)]
    payment_id: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = (
        None  # the desk's; the release before has none
    )
    version: int = VERSION


class ClearingAnswer(Message, frozen=True):
    """What counter has made of a payment, for good: booked, or refused and why."""

    reference: str
    refusal: str  # blank: booked
    at: Moment
    version: int = VERSION


def encode(message: Message) -> bytes:
    """JSON with amounts as strings and times in ISO 8601."""
    return msgspec.json.encode(message)


def decode(raw: bytes | str, kind: type[M]) -> M:
    """Strict decoding.

    Raises: msgspec.ValidationError (a wrong shape or type), msgspec.DecodeError (no JSON, or not in UTF-8).
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except UnicodeDecodeError as error:  # msgspec's own answer to a text that is no UTF-8
        raise msgspec.DecodeError(str(error)) from error
