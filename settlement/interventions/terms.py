"""What a request says besides its reason: the trades of an order booked by hand, the venue's id of a found transfer."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ledger.decimals import is_multiple, product
from settlement.book.chart import USDT

UNIT = Decimal("0.00000001")
WORTH_TOLERANCE_USDT = Decimal("0.01")  # by which price times coin may differ from what a venue rounded


class Refused(Exception):
    """The operation is not done, for the reason that it gives; nothing was changed."""


class Unanswered(Refused):
    """Who has to be asked does not answer now: the same may be done later."""


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing has to be said."""


class HandTrade(Terms, frozen=True, kw_only=True):
    """One trade as a person has it from the venue: `coin` at `price` for `usdt`, `fee_usdt` of a third asset's fee."""

    venue_trade_id: str
    price: Decimal
    coin: Decimal
    usdt: Decimal
    fee: Decimal
    fee_asset: str
    traded_at: datetime
    fee_usdt: Decimal | None = None


class OrderTerms(Terms, frozen=True, kw_only=True):
    """What the venue executed under a conversion's order."""

    venue_order_id: str
    trades: tuple[HandTrade, ...]


class FoundTerms(Terms, frozen=True, kw_only=True):
    """Which movement of the venue a funds transfer was."""

    venue_transfer_id: str


class HoldTerms(Terms, frozen=True, kw_only=True):
    """Which conversions a restored desk cannot prove and goes on without."""

    conversions: tuple[int, ...]


def as_stored(terms: Terms) -> dict[str, Any]:
    """For a JSON column: amounts as text."""
    return msgspec.to_builtins(terms)


def as_given(kind: type[Terms], stored: Any) -> Terms:
    """From a JSON column. Raises: Refused."""
    try:
        return msgspec.convert(stored, kind)
    except msgspec.ValidationError as error:
        raise Refused(f"the terms cannot be read: {error}") from error


def check_trade(trade: HandTrade, *, underlying: str) -> None:
    """Refuse a trade that no venue could have made; mostly a slip of the hand. Raises: Refused."""
    name = f"trade {trade.venue_trade_id or 'without an id'}"
    amounts = (trade.price, trade.coin, trade.usdt, trade.fee, trade.fee_usdt or Decimal(0))
    if not trade.venue_trade_id.strip() or not trade.fee_asset.strip():
        raise Refused(f"{name}: its id and what its fee was taken in are needed")
    if not all(amount.is_finite() and is_multiple(amount, UNIT) for amount in amounts):
        raise Refused(f"{name}: amounts have at most 8 decimals")
    if min(trade.price, trade.coin, trade.usdt) <= 0:
        raise Refused(f"{name}: price, coin and USDT are positive")
    if abs(trade.usdt - product(trade.price, trade.coin)) > WORTH_TOLERANCE_USDT:
        raise Refused(f"{name}: {trade.coin} at {trade.price} is not {trade.usdt} USDT")
    taken_from = {underlying: trade.coin, USDT: trade.usdt}.get(trade.fee_asset)
    if taken_from is not None and trade.fee_usdt is not None:
        raise Refused(f"{name}: a fee in {trade.fee_asset} needs no worth in USDT")
    if taken_from is not None and abs(trade.fee) >= taken_from:
        raise Refused(f"{name}: the fee is as much as the trade")
    if taken_from is None and trade.fee and trade.fee_usdt is None:
        raise Refused(f"{name}: the worth in USDT of a fee in {trade.fee_asset} is needed")
    if trade.fee_usdt is not None and (
        trade.fee * trade.fee_usdt < 0
        or not (trade.fee or not trade.fee_usdt)
        or abs(trade.fee_usdt) >= trade.usdt
    ):
        raise Refused(f"{name}: {trade.fee} {trade.fee_asset} of fee are not worth {trade.fee_usdt} USDT")
    if trade.traded_at.tzinfo is None:
        raise Refused(f"{name}: its time needs a time zone")
