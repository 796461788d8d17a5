"""The control endpoints under /paper: faults, prices, money and the whole state, for tests and demonstrations.

They are no part of Binance's dialect, need no key and count for no limit: keep the venue on the loopback address.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from tools.paper_venue.amounts import ONE, text
from tools.paper_venue.errors import ApiError, InvalidParameter, NoSuchAsset
from tools.paper_venue.faults import FaultInvalid, read_fault
from tools.paper_venue.records import Wallet
from tools.paper_venue.rest import views
from tools.paper_venue.rest.params import find_symbol
from tools.paper_venue.rest.replies import refusal, refusal_of, reply
from tools.paper_venue.state import Account, Balance
from tools.paper_venue.symbols import ASSETS
from tools.paper_venue.venue import Venue

INVALID = -1130


def add_routes(app: web.Application, venue: Venue) -> None:
    def route(
        method: str, path: str, handle: Callable[[Venue, web.Request], Awaitable[web.Response]]
    ) -> None:
        async def checked(request: web.Request) -> web.StreamResponse:
            try:
                return await handle(venue, request)
            except ApiError as error:
                return refusal(error, headers={})
            except (FaultInvalid, KeyError, TypeError, ValueError, InvalidOperation) as error:
                return refusal_of(400, INVALID, f"{type(error).__name__}: {error}")

        app.router.add_route(method, path, checked)

    route("GET", "/paper/faults", list_faults)
    route("POST", "/paper/faults", add_faults)
    route("DELETE", "/paper/faults", clear_faults)
    route("DELETE", "/paper/faults/{fault_id}", remove_fault)
    route("GET", "/paper/state", show_state)
    route("GET", "/paper/price", show_prices)
    route("POST", "/paper/price", set_price)
    route("POST", "/paper/fund", fund)


async def list_faults(venue: Venue, request: web.Request) -> web.Response:
    return reply([fault.described() for fault in venue.faults.all()])


async def add_faults(venue: Venue, request: web.Request) -> web.Response:
    """One fault or a list of them; none is added if one of them is invalid."""
    sent = await _json(request)
    descriptions = sent if isinstance(sent, list) else [sent]
    for description in descriptions:
        read_fault(description, fault_id=0)
    described = [venue.add_fault(description).described() for description in descriptions]
    return reply(described if isinstance(sent, list) else described[0], status=201)


async def clear_faults(venue: Venue, request: web.Request) -> web.Response:
    venue.clear_faults()
    return reply([])


async def remove_fault(venue: Venue, request: web.Request) -> web.Response:
    if not venue.remove_fault(int(request.match_info["fault_id"])):
        return refusal_of(404, INVALID, "no such fault")
    return reply([fault.described() for fault in venue.faults.all()])


async def show_prices(venue: Venue, request: web.Request) -> web.Response:
    """What the books are, not what a fault shows of them."""
    return reply(_prices(venue))


async def set_price(venue: Venue, request: web.Request) -> web.Response:
    """``price`` pins, ``price: null`` lets go, ``jump_percent`` moves and lets the price go on from there."""
    sent = await _json(request)
    symbol = find_symbol(str(sent["symbol"]))
    now_ms = venue.clock_ms()
    if "jump_percent" in sent:
        factor = ONE + Decimal(str(sent["jump_percent"])) / 100
        if factor <= 0:
            raise InvalidParameter("jump_percent")
        venue.engine.jump_price(symbol=symbol.name, factor=factor, now_ms=now_ms)
    else:
        price = None if sent["price"] is None else Decimal(str(sent["price"]))
        if price is not None and not symbol.tick <= price <= symbol.max_price:
            raise InvalidParameter("price")
        venue.engine.pin_price(symbol=symbol.name, price=price, now_ms=now_ms)
    return reply(_prices(venue))


async def fund(venue: Venue, request: web.Request) -> web.Response:
    """Money from outside: ``{"account", "wallet", "asset", "amount"}``."""
    sent = await _json(request)
    asset, amount = str(sent["asset"]), Decimal(str(sent["amount"]))
    if asset not in ASSETS:
        raise NoSuchAsset
    account = str(sent.get("account", venue.settings.credentials[0].account))
    if account not in venue.state.accounts:
        raise InvalidParameter("account")
    if not 0 < amount < 10**12:
        raise InvalidParameter("amount")
    venue.engine.fund(
        account=account, wallet=Wallet(sent["wallet"]), asset=asset, amount=amount, now_ms=venue.clock_ms()
    )
    return reply(_account(venue.state.accounts[account]))


async def show_state(venue: Venue, request: web.Request) -> web.Response:
    """Everything that happened, or that of one ``?account=``, also what a lag or a fault hides from ordinary reads."""
    accounts = venue.state.accounts
    if "account" in request.query:
        asked = request.query["account"]
        if asked not in accounts:
            raise InvalidParameter("account")
        accounts = {asked: accounts[asked]}
    return reply(
        {
            "serverTime": venue.clock_ms(),
            "seed": venue.settings.seed,
            "prices": _prices(venue),
            "accounts": {name: _account(account) for name, account in accounts.items()},
            "orders": [
                {"account": order.account, **views.queried_order(order)}
                for order in venue.state.orders.values()
                if order.account in accounts
            ],
            "trades": [
                {"account": name, **views.account_trade(trade)}
                for name, account in accounts.items()
                for trades in account.trades.values()
                for trade in trades
            ],
            "transfers": [
                {"account": name, **views.transfer(item)}
                for name, account in accounts.items()
                for item in account.transfers
            ],
            "faults": [fault.described() for fault in venue.faults.all()],
        }
    )


def _prices(venue: Venue) -> dict[str, dict[str, str]]:
    return {
        name: {
            "bid": text(market.quote.bid),
            "ask": text(market.quote.ask),
            "last": text(market.last_price),
        }
        for name, market in venue.engine.markets.items()
    }


def _account(account: Account) -> dict[str, Any]:
    return {
        "spot": _balances(account.spot),
        "funding": _balances(account.funding),
        "burnsBnb": account.burns_bnb,
    }


def _balances(wallet: dict[str, Balance]) -> dict[str, dict[str, str]]:
    return {
        asset: {"free": text(balance.free), "locked": text(balance.locked)}
        for asset, balance in wallet.items()
    }


async def _json(request: web.Request) -> Any:
    """Raises: ValueError if the body is no JSON object or list."""
    sent = json.loads(await request.text(), parse_float=Decimal)
    if not isinstance(sent, dict | list):
        raise ValueError("send a JSON object")
    return sent
