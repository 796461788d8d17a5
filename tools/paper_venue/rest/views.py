"""How orders, trades and transfers look in answers; every amount a string with eight decimals."""

from __future__ import annotations

from typing import Any

from tools.paper_venue.amounts import text
from tools.paper_venue.records import Order, Side, Trade, Transfer, Wallet

NO_LIST = -1
WALLET_NAMES = {Wallet.SPOT: "MAIN", Wallet.FUNDING: "FUNDING"}


def acknowledged_order(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_order_id,
        "transactTime": order.updated_at_ms,
    }


def placed_order(order: Order) -> dict[str, Any]:
    """The answer to a new order of response type RESULT."""
    return {
        **acknowledged_order(order),
        "price": text(order.price),
        "origQty": text(order.quantity),
        "executedQty": text(order.executed_quantity),
        "origQuoteOrderQty": text(order.quote_quantity),
        "cummulativeQuoteQty": text(order.executed_quote),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.order_type,
        "side": order.side,
        "workingTime": order.created_at_ms,
        "selfTradePreventionMode": order.prevention_mode,
    }


def fill(trade: Trade) -> dict[str, Any]:
    return {
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "commission": text(trade.commission),
        "commissionAsset": trade.commission_asset,
        "tradeId": trade.trade_id,
    }


def queried_order(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_order_id,
        "price": text(order.price),
        "origQty": text(order.quantity),
        "executedQty": text(order.executed_quantity),
        "cummulativeQuoteQty": text(order.executed_quote),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.order_type,
        "side": order.side,
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": order.created_at_ms,
        "updateTime": order.updated_at_ms,
        "isWorking": True,
        "workingTime": order.created_at_ms,
        "origQuoteOrderQty": text(order.quote_quantity),
        "selfTradePreventionMode": order.prevention_mode,
    }


def cancelled_order(order: Order, *, cancel_id: str) -> dict[str, Any]:
    return {**placed_order(order), "origClientOrderId": order.client_order_id, "clientOrderId": cancel_id}


def account_trade(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": NO_LIST,
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "quoteQty": text(trade.quote_quantity),
        "commission": text(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.at_ms,
        "isBuyer": trade.side is Side.BUY,
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


def transfer_type(transfer: Transfer) -> str:
    return f"{WALLET_NAMES[transfer.source]}_{WALLET_NAMES[transfer.target]}"


def transfer(item: Transfer, *, status: str = "CONFIRMED") -> dict[str, Any]:
    return {
        "timestamp": item.at_ms,
        "asset": item.asset,
        "amount": text(item.amount),
        "type": transfer_type(item),
        "status": status,
        "tranId": item.transfer_id,
    }
