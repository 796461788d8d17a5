"""Messages of an account's own stream: what became of its orders, and its balances.

Source: Binance Spot API documentation, "User Data Streams".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tools.paper_venue.amounts import ZERO, text
from tools.paper_venue.records import Order, OrderStatus, Trade
from tools.paper_venue.state import Account

NO_LIST = NO_TRADE = -1


def order_reports(
    order: Order, trades: Iterable[Trade], *, is_new: bool, now_ms: int
) -> Iterator[dict[str, Any]]:
    """An order's way to its present version: that it is there, each trade, and how it ended without one."""
    trades = tuple(trades)
    done = order.executed_quantity - sum((trade.quantity for trade in trades), ZERO)
    spent = order.executed_quote - sum((trade.quote_quantity for trade in trades), ZERO)
    if is_new:
        fresh = replace(order, status=OrderStatus.NEW, executed_quantity=ZERO, executed_quote=ZERO)
        yield _report(fresh, "NEW", now_ms)
    for trade in trades:
        done, spent = done + trade.quantity, spent + trade.quote_quantity
        is_filled = done == order.executed_quantity and order.status is OrderStatus.FILLED
        status = OrderStatus.FILLED if is_filled else OrderStatus.PARTIALLY_FILLED
        after = replace(order, status=status, executed_quantity=done, executed_quote=spent)
        yield _report(after, "TRADE", now_ms, trade)
    if order.status in (OrderStatus.EXPIRED, OrderStatus.CANCELED):
        yield _report(order, order.status, now_ms)


def account_position(account: Account, assets: Iterable[str], *, now_ms: int) -> dict[str, Any]:
    """The trading wallet's balances of these assets."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": account.updated_at_ms,
        "B": [
            {"a": asset, "f": text(account.spot[asset].free), "l": text(account.spot[asset].locked)}
            for asset in sorted(assets)
        ],
    }


def balance_update(asset: str, delta: Decimal, *, at_ms: int, now_ms: int) -> dict[str, Any]:
    """Funds that came or went other than by a trade."""
    return {"e": "balanceUpdate", "E": now_ms, "a": asset, "d": text(delta), "T": at_ms}


def _report(order: Order, execution: str, now_ms: int, trade: Trade | None = None) -> dict[str, Any]:
    return {
        "e": "executionReport",
        "E": now_ms,
        "s": order.symbol,
        "c": order.client_order_id,
        "S": order.side,
        "o": order.order_type,
        "f": order.time_in_force,
        "q": text(order.quantity),
        "p": text(order.price),
        "P": text(ZERO),
        "F": text(ZERO),
        "g": NO_LIST,
        "C": order.client_order_id if execution == OrderStatus.CANCELED else "",
        "x": execution,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        "l": text(trade.quantity if trade else ZERO),
        "z": text(order.executed_quantity),
        "L": text(trade.price if trade else ZERO),
        "n": text(trade.commission if trade else ZERO),
        "N": trade.commission_asset if trade else None,
        "T": order.updated_at_ms,
        "t": trade.trade_id if trade else NO_TRADE,
        "I": trade.trade_id if trade else order.order_id,
        "w": order.status.is_open,
        "m": trade.is_maker if trade else False,
        "M": trade is not None,
        "O": order.created_at_ms,
        "Z": text(order.executed_quote),
        "Y": text(trade.quote_quantity if trade else ZERO),
        "Q": text(order.quote_quantity),
        "W": order.created_at_ms,
        "V": order.prevention_mode,
    }
