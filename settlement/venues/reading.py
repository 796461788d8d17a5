"""Reading ccxt's orders, trades and transfers into our own: complete and exact, or refused as a BadAnswer.

Amounts arrive as strings and become Decimal here. An order whose fills do not add up to it is no answer.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

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
FINAL_STATUSES = frozenset({"closed", "canceled", "expired", "rejected"})


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
        venue_order_id=str(order["id"]),
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
        venue_trade_id=str(trade["id"]),
        venue_order_id=str(trade["order"]),
        side=_side(trade["side"]),
        price=positive(trade["price"]),
        coin=positive(trade["amount"]),
        usdt=positive(trade["cost"]),
        fee=Decimal(fee.get("cost") or 0),
        fee_asset=fee.get("currency") or "USDT",
        traded_at=_moment(trade["timestamp"]),
    )


def transfer_of(entry: dict[str, Any], direction: Direction) -> TransferReport:
    """One movement from ccxt's transfer structure. Raises: as `trade_of`."""
    return TransferReport(
        venue_transfer_id=str(entry["id"]),
        asset=entry["currency"],
        amount=Decimal(entry["amount"]),
        direction=direction,
        # Whatever is neither may still move the funds.
        state=TRANSFER_STATES.get(entry["status"], "pending"),
        at=_moment(entry["timestamp"]),
    )


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


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, tz=UTC).replace(
        microsecond=milliseconds % 1000 * 1000
    )
