"""The wallets behind /sapi: moving assets between spot and funding, and what the funding wallet holds."""

from __future__ import annotations

from typing import Any

from tools.paper_venue.amounts import text
from tools.paper_venue.errors import AmountNotPositive, InvalidParameter, NoSuchAsset, ParameterMissing
from tools.paper_venue.faults import FaultKind
from tools.paper_venue.filters import check_precision
from tools.paper_venue.records import Wallet
from tools.paper_venue.rest import views
from tools.paper_venue.rest.call import Call, Route, Security
from tools.paper_venue.rest.params import NAME, Params
from tools.paper_venue.symbols import ASSETS, SYMBOLS

TRANSFER_TYPES = {
    "MAIN_FUNDING": (Wallet.SPOT, Wallet.FUNDING),
    "FUNDING_MAIN": (Wallet.FUNDING, Wallet.SPOT),
}


def transfer(call: Call) -> dict[str, Any]:
    """Moves at once; the answer carries no client id, so a lost one is found in the history only."""
    params = call.params
    source, target = _wallets(params)
    asset = _asset(params.required("asset", legal=NAME))
    amount = params.decimal("amount")
    if amount is None:
        raise ParameterMissing("amount")
    check_precision(name="amount", amount=amount)
    if amount == 0:
        raise AmountNotPositive
    moved = call.venue.engine.transfer(
        account=call.account_name,
        source=source,
        target=target,
        asset=asset,
        amount=amount,
        now_ms=call.now_ms,
    )
    return {"tranId": moved.transfer_id}


def list_transfers(call: Call) -> dict[str, Any]:
    """One type's transfers, newest first, in numbered pages."""
    params = call.params
    wallets = _wallets(params)
    start, end = params.integer("startTime"), params.integer("endTime")
    page = max(1, params.integer("current") or 1)
    size = params.limit(default=10, largest=100, name="size")
    found = [
        item
        for item in reversed(call.account.transfers)
        if (item.source, item.target) == wallets
        and (start is None or item.at_ms >= start)
        and (end is None or item.at_ms <= end)
    ]
    rows = found[(page - 1) * size : page * size]
    return {"total": len(found), "rows": [views.transfer(item, status=call.transfer_status) for item in rows]}


def funding_balances(call: Call) -> list[dict[str, Any]]:
    wanted = call.params.text("asset", legal=NAME)
    return [
        {
            "asset": asset,
            "free": text(balance.free),
            "locked": "0.00000000",
            "freeze": "0.00000000",
            "withdrawing": "0.00000000",
            "btcValuation": "0.00000000",
        }
        for asset, balance in call.account.funding.items()
        if balance.free and (wanted is None or asset == wanted)
    ]


def system_status(call: Call) -> dict[str, Any]:
    if call.venue.faults.is_on(FaultKind.MAINTENANCE):
        return {"status": 1, "msg": "system_maintenance"}
    return {"status": 0, "msg": "normal"}


def show_burn(call: Call) -> dict[str, Any]:
    return {"spotBNBBurn": call.account.burns_bnb, "interestBNBBurn": False}


def switch_burn(call: Call) -> dict[str, Any]:
    """Whether commission is taken from BNB from now on."""
    is_on = call.params.flag("spotBNBBurn", default=call.account.burns_bnb)
    call.venue.engine.switch_burn(account=call.account_name, is_on=is_on)
    return {"spotBNBBurn": is_on, "interestBNBBurn": False}


def trade_fees(call: Call) -> list[dict[str, Any]]:
    symbol = call.params.optional_symbol()
    commission = call.venue.engine.commission
    return [
        {"symbol": name, "makerCommission": text(commission.maker), "takerCommission": text(commission.taker)}
        for name in SYMBOLS
        if symbol is None or symbol.name == name
    ]


def coins(call: Call) -> list[dict[str, Any]]:
    """Every asset with the caller's balances; there are no networks to deposit from or withdraw to."""
    return [
        {
            "coin": asset,
            "name": asset,
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "trading": True,
            "isLegalMoney": False,
            "free": text(balance.free),
            "locked": text(balance.locked),
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "networkList": [],
        }
        for asset, balance in call.account.spot.items()
    ]


def _wallets(params: Params) -> tuple[Wallet, Wallet]:
    wallets = TRANSFER_TYPES.get(params.required("type"))
    if wallets is None:
        raise InvalidParameter("type")
    return wallets


def _asset(name: str) -> str:
    if name not in ASSETS:
        raise NoSuchAsset
    return name


ROUTES = [
    Route("POST", "/sapi/v1/asset/transfer", transfer, weight=1),
    Route("GET", "/sapi/v1/asset/transfer", list_transfers, weight=1),
    Route("POST", "/sapi/v1/asset/get-funding-asset", funding_balances, weight=1),
    Route("GET", "/sapi/v1/bnbBurn", show_burn, weight=1),
    Route("POST", "/sapi/v1/bnbBurn", switch_burn, weight=1),
    Route("GET", "/sapi/v1/asset/tradeFee", trade_fees, weight=1),
    Route("GET", "/sapi/v1/capital/config/getall", coins, weight=10),
    Route("GET", "/sapi/v1/system/status", system_status, weight=1, security=Security.NONE),
]
