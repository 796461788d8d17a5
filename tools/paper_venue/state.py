"""The venue's memory: balances, orders, trades and transfers, changed only by applying events.

The same events in the same order give the same state; no balance ever goes below zero. A state is therefore also a
replica: one that is fed late shows what a lagging read would have shown.
"""

from __future__ import annotations

import bisect
import copy
import hashlib
import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tools.paper_venue.amounts import ZERO
from tools.paper_venue.records import (
    BurnSwitched,
    Event,
    Funded,
    Order,
    OrderChanged,
    PriceMarked,
    ReplayStarted,
    ReplayStopped,
    Side,
    Trade,
    Transfer,
    Transferred,
    VenueOpened,
    Wallet,
)
from tools.paper_venue.symbols import ASSETS, SYMBOLS

ORDERS_KEPT = 200_000


class BalanceBelowZero(Exception):
    """An event would have made a balance negative: the journal or the engine is wrong."""


@dataclass(slots=True)
class Balance:
    free: Decimal = ZERO
    locked: Decimal = ZERO


def _no_balances() -> dict[str, Balance]:
    return {asset: Balance() for asset in ASSETS}


@dataclass(slots=True)
class Account:
    """One account's wallets and the index of what it did."""

    name: str
    spot: dict[str, Balance] = field(default_factory=_no_balances)
    funding: dict[str, Balance] = field(default_factory=_no_balances)
    burns_bnb: bool = False
    is_funded: bool = False
    updated_at_ms: int = 0
    open_orders: dict[int, Order] = field(default_factory=dict)
    orders: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in SYMBOLS})
    trades: dict[str, list[Trade]] = field(default_factory=lambda: {name: [] for name in SYMBOLS})
    transfers: list[Transfer] = field(default_factory=list)
    latest_by_client_id: dict[tuple[str, str], int] = field(default_factory=dict)

    def wallet(self, wallet: Wallet) -> dict[str, Balance]:
        return self.spot if wallet is Wallet.SPOT else self.funding

    def clone(self) -> Account:
        return replace(
            self,
            spot={asset: replace(balance) for asset, balance in self.spot.items()},
            funding={asset: replace(balance) for asset, balance in self.funding.items()},
            open_orders=dict(self.open_orders),
            orders={name: list(ids) for name, ids in self.orders.items()},
            trades={name: list(trades) for name, trades in self.trades.items()},
            transfers=list(self.transfers),
            latest_by_client_id=dict(self.latest_by_client_id),
        )


class State:
    """Everything that must survive a crash; see the module's promise."""

    def __init__(self, *, orders_kept: int = ORDERS_KEPT) -> None:
        self.accounts: dict[str, Account] = {}
        self.orders: dict[int, Order] = {}
        self.standing: dict[int, Order] = {}  # the open ones of all accounts, oldest first
        self._trades_by_order: dict[int, tuple[Trade, ...]] = {}
        self.venue_id = ""
        self.last_order_id = 0
        self.last_trade_id = 0
        self.last_transfer_id = 0
        self.marked_prices: dict[str, Decimal] = {}
        self.replays: dict[str, int] = {}
        self._orders_kept = orders_kept
        self._closed: deque[int] = deque()

    def clone(self) -> State:
        """An independent copy; the records themselves are shared, for they never change."""
        copied = copy.copy(self)
        copied.accounts = {name: account.clone() for name, account in self.accounts.items()}
        for name in ("orders", "standing", "marked_prices", "replays", "_trades_by_order", "_closed"):
            setattr(copied, name, copy.copy(getattr(self, name)))
        return copied

    def account_id(self, name: str) -> int:
        """What an account is called in answers: another one at each venue."""
        return int.from_bytes(hashlib.sha256(f"{self.venue_id}/{name}".encode()).digest()[:5])

    def account(self, name: str) -> Account:
        if name not in self.accounts:
            self.accounts[name] = Account(name)
        return self.accounts[name]

    def apply(self, event: Event) -> None:
        """Raises: BalanceBelowZero."""
        match event:
            case OrderChanged(order, trades):
                self._change_order(order, trades)
            case Transferred(transfer):
                self._transfer(transfer)
            case Funded():
                account = self.account(event.account)
                account.is_funded = True
                self._credit(account, event.wallet, event.asset, event.amount)
            case BurnSwitched():
                self.account(event.account).burns_bnb = event.is_on
            case PriceMarked():
                self.marked_prices[event.symbol] = event.price
            case ReplayStarted():
                self.replays[event.recording] = event.at_ms
            case ReplayStopped():
                self.replays.pop(event.recording, None)
            case VenueOpened():
                self.venue_id = event.venue_id

    def order_by_client_id(self, *, account: str, symbol: str, client_order_id: str) -> Order | None:
        """The latest order under that client id, as Binance answers when an id was used again."""
        order_id = self.account(account).latest_by_client_id.get((symbol, client_order_id))
        return None if order_id is None else self.orders.get(order_id)

    def orders_of(self, *, account: str, symbol: str, from_id: int = 0) -> Iterable[Order]:
        ids = self.account(account).orders[symbol]
        start = bisect.bisect_left(ids, from_id)
        return (self.orders[order_id] for order_id in itertools.islice(ids, start, None))

    def trades_of(self, *, account: str, symbol: str, from_id: int = 0) -> Iterable[Trade]:
        trades = self.account(account).trades[symbol]
        start = bisect.bisect_left(trades, from_id, key=lambda trade: trade.trade_id)
        return itertools.islice(trades, start, None)

    def trades_of_order(self, *, account: str, symbol: str, order_id: int) -> Iterable[Trade]:
        order = self.orders.get(order_id)
        if order is None or (order.account, order.symbol) != (account, symbol):
            return ()
        return self._trades_by_order.get(order_id, ())

    def _change_order(self, order: Order, trades: tuple[Trade, ...]) -> None:
        account = self.account(order.account)
        symbol = SYMBOLS[order.symbol]
        earlier = self.orders.get(order.order_id)
        held = earlier.locked if earlier else ZERO
        asset = symbol.quote if order.side is Side.BUY else symbol.base
        balance = account.spot[asset]
        spent = _spent(order, trades)
        balance.locked += order.locked - held
        balance.free -= order.locked - held + spent
        for trade in trades:
            received = symbol.base if trade.side is Side.BUY else symbol.quote
            account.spot[received].free += trade.quantity if trade.side is Side.BUY else trade.quote_quantity
            account.spot[trade.commission_asset].free -= trade.commission
            account.trades[order.symbol].append(trade)
            self.last_trade_id = max(self.last_trade_id, trade.trade_id)
        if trades:
            self._trades_by_order[order.order_id] = self._trades_by_order.get(order.order_id, ()) + trades
        self._check(account)
        account.updated_at_ms = order.updated_at_ms
        self._remember(account, order, is_new=earlier is None)

    def _remember(self, account: Account, order: Order, *, is_new: bool) -> None:
        self.orders[order.order_id] = order
        if is_new:
            self.last_order_id = max(self.last_order_id, order.order_id)
            account.orders[order.symbol].append(order.order_id)
            account.latest_by_client_id[(order.symbol, order.client_order_id)] = order.order_id
        if order.status.is_open:
            account.open_orders[order.order_id] = self.standing[order.order_id] = order
            return
        for standing in (account.open_orders, self.standing):
            standing.pop(order.order_id, None)
        self._closed.append(order.order_id)
        if len(self._closed) > self._orders_kept:
            self._forget(self._closed.popleft())

    def _forget(self, order_id: int) -> None:
        """Drop the order that was closed longest ago with its trades, so that memory stays bounded."""
        order = self.orders.pop(order_id)
        self._trades_by_order.pop(order_id, None)
        account = self.account(order.account)
        ids = account.orders[order.symbol]
        del ids[bisect.bisect_left(ids, order_id)]
        key = (order.symbol, order.client_order_id)
        if account.latest_by_client_id.get(key) == order_id:
            del account.latest_by_client_id[key]
        trades = account.trades[order.symbol]
        while trades and trades[0].order_id not in self.orders:
            del trades[0]

    def _transfer(self, transfer: Transfer) -> None:
        account = self.account(transfer.account)
        self._credit(account, transfer.source, transfer.asset, -transfer.amount)
        self._credit(account, transfer.target, transfer.asset, transfer.amount)
        account.transfers.append(transfer)
        del account.transfers[: -self._orders_kept]
        account.updated_at_ms = transfer.at_ms
        self.last_transfer_id = max(self.last_transfer_id, transfer.transfer_id)

    def _credit(self, account: Account, wallet: Wallet, asset: str, amount: Decimal) -> None:
        account.wallet(wallet)[asset].free += amount
        self._check(account)

    @staticmethod
    def _check(account: Account) -> None:
        for wallet in (account.spot, account.funding):
            for asset, balance in wallet.items():
                if balance.free < 0 or balance.locked < 0:
                    raise BalanceBelowZero(f"{account.name} {asset} {balance}")


def _spent(order: Order, trades: tuple[Trade, ...]) -> Decimal:
    """What the trades took out of the account: quote for a buy, base for a sell."""
    if order.side is Side.BUY:
        return sum((trade.quote_quantity for trade in trades), ZERO)
    return sum((trade.quantity for trade in trades), ZERO)
