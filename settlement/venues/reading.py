"""Reading ccxt's orders, trades and transfers into our own: complete and exact, or refused as a BadAnswer.

Amounts arrive as strings and become Decimal here. An order whose fills do not add up to it is no answer.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ledger.decimals import calculating
from settlement.venues.protocol import (
    Direction,
    OrderReport,
    Side,
    Trade,
    TransferReport,
    TransferState,
    VenueError,
)

TRANSFER_STATES: dict[str, TransferState] = {"ok": "done", "failed": "failed", "canceled": "failed"}
NAME_CHARACTERS = 64  # of an id, as the columns have them
FINAL_STATUSES = frozenset({"closed", "canceled", "expired", "rejected"})


@calculating()
def order_report(order: dict[str, Any], client_order_id: str) -> OrderReport:
    """The order under `client_order_id` with all its trades, from ccxt's order structure.

    Raises: VenueError when it is not that order, or its trades are not all there; otherwise as `trade_of`.
    """
    if not order.get("id") or not order.get("status") or order.get("clientOrderId") != client_order_id:
        raise VenueError(kind="BadAnswer", message=f"not the order {client_order_id}", raw=raw(order))
    # A new order's fills do not repeat these.
    placed = {"timestamp": order.get("timestamp"), "order": order["id"], "side": order.get("side")}
    trades = tuple(
        trade_of(placed | {name: value for name, value in trade.items() if value is not None})
        for trade in order["trades"]
    )
    filled_coin = Decimal(order["filled"] or 0)
    if sum((trade.coin for trade in trades), Decimal(0)) != filled_coin:
        raise VenueError(kind="BadAnswer", message="trades do not add up to their order", raw=raw(order))
    return OrderReport(
        client_order_id=client_order_id,
        venue_order_id=name_of(order["id"]),
        final=order["status"] in FINAL_STATUSES,
        filled_coin=filled_coin,
        filled_usdt=Decimal(order["cost"] or 0),
        trades=trades,
        raw=raw(order),
    )


def trade_of(trade: dict[str, Any]) -> Trade:
    """One trade from ccxt's trade structure. Raises: LookupError, TypeError, ValueError, ArithmeticError."""
    fee = trade.get("fee") or {}
    return Trade(
        venue_trade_id=name_of(trade["id"]),
        venue_order_id=name_of(trade["order"]),
        side=_side(trade["side"]),
        price=positive(trade["price"]),
        coin=positive(trade["amount"]),
        usdt=positive(trade["cost"]),
        fee=finite(fee.get("cost")),
        fee_asset=name_of(fee.get("currency") or "USDT"),
        traded_at=moment_of(trade["timestamp"]),
    )


def wallet_of(exchange: Any, name: str) -> dict[str, Any]:
    """A wallet as ccxt has it, of a whole answer: of one that was cut, or is an empty object, ccxt makes a wallet that
    holds nothing.

    Raises: VenueError, ccxt's errors.
    """
    answer = exchange.fetch_balance({"type": name})
    said = answer.get("info")
    is_whole = isinstance(said, list) or (isinstance(said, dict) and len(said) > 0)
    if exchange.id == "binance":
        is_whole = isinstance(said.get("balances") if isinstance(said, dict) else said, list)
    if not is_whole:
        raise VenueError(kind="BadAnswer", message=f"no wallet {name}", raw=raw(answer))
    return answer


def transfer_of(entry: dict[str, Any], direction: Direction) -> TransferReport:
    """One movement from ccxt's transfer structure. Raises: as `trade_of`."""
    return TransferReport(
        venue_transfer_id=name_of(entry["id"]),
        asset=name_of(entry["currency"]),
        amount=finite(entry["amount"]),
        direction=direction,
        # What is neither may still move the funds.
        state=TRANSFER_STATES.get(entry["status"], "pending"),
        at=moment_of(entry["timestamp"]),
    )


def name_of(text: Any) -> str:
    """An id or an asset as the venue calls it, short enough to be stored. Raises: ValueError."""
    read = "" if text is None else str(text)
    if not 0 < len(read) <= NAME_CHARACTERS or not read.isprintable():
        raise ValueError(f"no id or asset: {read[:NAME_CHARACTERS]!r}")
    return read


def finite(text: str | None) -> Decimal:
    """An amount of either sign; 0 for None. Raises: ValueError, ArithmeticError."""
    value = Decimal(text or 0)
    if not value.is_finite():
        raise ValueError(f"no amount: {text!r}")
    return value


def positive(text: str | None) -> Decimal:
    """A positive amount. Raises: ValueError, ArithmeticError."""
    value = Decimal(text or 0)
    if not value.is_finite() or value <= 0:
        raise ValueError(f"not a positive amount: {text!r}")
    return value


def raw(answer: dict[str, Any]) -> str:
    """The venue's own words, as far as ccxt keeps them."""
    return json.dumps(answer.get("info", answer), default=str)


def _side(text: str) -> Side:
    if text not in ("buy", "sell"):
        raise ValueError(f"neither buy nor sell: {text!r}")
    return text  # type: ignore[return-value]


def moment_of(milliseconds: int) -> datetime:
    """A moment of the venue's clock, exact to the millisecond."""
    return datetime.fromtimestamp(milliseconds // 1000, tz=UTC).replace(
        microsecond=milliseconds % 1000 * 1000
    )
