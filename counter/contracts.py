"""What counter and the desk say to each other: frozen, versioned messages; the only module of counter others import.

A message is decoded strictly: unknown fields, wrong types and floats in place of amounts are refused.
"""

from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeVar

import msgspec

VERSION = 1
M = TypeVar("M", bound="Message")

OrderKind = Literal["OPEN", "CLOSE", "EXERCISE"]
Payout = Literal["instant", "at_fill"]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all messages: immutable, strict."""


class SyncEvent(Message, frozen=True):
    """One customer's order as the desk has to settle it.

    `coin` (8 decimals) is what the options book gets on OPEN and gives otherwise; `fair` (USDT, 6 decimals) is what
    counter owes the desk for it on OPEN, and what the desk owes counter otherwise, unless `payout` is at_fill: then
    the desk owes what the venue really paid, less its fee.
    """

    source: str
    order_id: int
    kind: OrderKind
    symbol: str
    underlying: str
    contracts: int
    coin: Decimal
    index_price: Decimal
    fair: Decimal
    payout: Payout
    placed_at: datetime
    version: int = VERSION


class SyncBatch(Message, frozen=True):
    """The sync events of one committed transaction."""

    events: list[SyncEvent]
    version: int = VERSION


class Acknowledgement(Message, frozen=True):
    """Order ids that the desk has stored for good."""

    source: str
    order_ids: list[int]
    version: int = VERSION


class SettlementReport(Message, frozen=True):
    """How one order was settled: `price` USDT for one coin, `value` its worth at that price, `fee` its share of the
    venue's commission, `due` (6 decimals) what passed between counter and desk for it."""

    order_id: int
    conversion_id: int
    price: Decimal
    value: Decimal
    fee: Decimal
    due: Decimal
    settled_at: datetime


class SettlementBatch(Message, frozen=True):
    """Settlements of one source, reported together."""

    source: str
    reports: list[SettlementReport]
    version: int = VERSION


class SettlementAnswer(Message, frozen=True):
    """Which reports counter has taken (now or before) and which contradict what it already holds or does not know."""

    taken: list[int]
    refused: list[int]


def encode(message: Message) -> bytes:
    """JSON with amounts as strings and times in ISO 8601."""
    return msgspec.json.encode(message)


def decode(raw: bytes | str, kind: type[M]) -> M:
    """Strict decoding.

    Raises: msgspec.ValidationError (a wrong shape or type), msgspec.DecodeError (no JSON).
    """
    return msgspec.json.decode(raw, type=kind)
