"""The desk alone: events as counter would send them, its steps at one venue account, and its books beside the venue's.

`Desk.venue` is the real adapter at the real paper venue; it only checks that no call is made inside a transaction.
"""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone

from acceptance.intake import Intake, ingest
from acceptance.models import AcceptedOrder
from counter.contracts import SyncEvent
from infra.exchange import host_breaker
from ledger.posting import balances, trial_balance
from settlement.book.chart import INVENTORY, TRADING, USDT, VENUE
from settlement.conversions import balancing, converting, sweep
from settlement.models import Carry, Conversion, DeskAccount, DeskTransfer
from tests.support.venue import PaperVenue
from tools.stack.supervision import wait_until

INDEX = {"BTC": Decimal(90_000), "ETH": Decimal(3_000)}
CENT = Decimal("0.000001")
# Which call a fault of the venue is for: the next order that is sent.
POST: dict[str, Any] = {"path": "/api/v3/order$", "method": "POST", "count": 1}
_order_ids = itertools.count(1)


def event(**changes: Any) -> SyncEvent:
    """An order of 0.01 BTC as counter tells of it, with `changes`; `fair` follows `coin` unless it is given."""
    coin, underlying = Decimal(changes.pop("coin", "0.01")), changes.get("underlying", "BTC")
    index = Decimal(changes.pop("index_price", INDEX.get(underlying, 1)))
    usual = {
        "source": settings.COUNTER_SOURCE,
        "order_id": next(_order_ids),
        "kind": "OPEN",
        "symbol": f"{underlying}-27NOV26-90000-C",
        "underlying": underlying,
        "contracts": 1,
        "coin": coin,
        "index_price": index,
        "fair": Decimal(1),
        "payout": "instant",
        "placed_at": timezone.now(),
    }
    if "fair" not in changes and coin.is_finite() and index.is_finite():
        usual["fair"] = (coin * index).quantize(CENT)
    return SyncEvent(**usual | changes)


def take_in(*events: SyncEvent, door: AcceptedOrder.Door = AcceptedOrder.Door.QUEUE) -> Intake:
    """Through the one door."""
    return ingest(events=events, door=door, now=timezone.now())


def as_if_later(seconds: float | None) -> None:
    """Have bans and other refusals of this address end as if so many seconds had passed; None: in their own time."""
    host_breaker.now_seconds = time.monotonic if not seconds else lambda: time.monotonic() + seconds


class OutsideTransactions:
    """A venue that is really called, and only while no transaction of the desk is open."""

    def __init__(self, venue: Any) -> None:
        self.real = venue
        self.submissions: list[str] = []
        self.before_submit: Callable[[str], None] | None = None

    def submit(self, **order: Any) -> Any:
        assert not connections["desk"].in_atomic_block
        self.submissions.append(order["client_order_id"])
        if self.before_submit is not None:
            self.before_submit(order["client_order_id"])
        return self.real.submit(**order)

    def __getattr__(self, name: str) -> Any:
        assert not connections["desk"].in_atomic_block, name
        return getattr(self.real, name)


class Desk:
    """The desk's steps at one venue account, and what the venue itself knows of it."""

    def __init__(self, venue: Any, paper: PaperVenue, account: str) -> None:
        self.venue: Any = OutsideTransactions(venue)
        self.paper = paper
        self.account = account
        # What an earlier test took out of the book comes back within two seconds.
        assert wait_until(paper.offers_both_sides, within_seconds=60)

    def convert(self, underlying: str = "BTC") -> Conversion:
        """One conversion, in the state in which it ended."""
        made = converting.convert_waiting(underlying=underlying, venue=self.venue, now=timezone.now())
        assert made is not None
        return made

    def resume(self, *, after: float = 0.0) -> None:
        """The sweep, as if `after` seconds had passed: for the venue's refusals of this address from now on."""
        as_if_later(after)
        sweep.resume(venue=self.venue, now=timezone.now() + timedelta(seconds=after))

    def settle(self, *events: SyncEvent) -> Conversion:
        """Take in, convert and book at a venue that fills at once."""
        take_in(*events)
        made = self.convert(events[0].underlying)
        assert made.state == Conversion.State.FILLED, made.reason
        assert balancing.book(made, now=timezone.now())
        made.refresh_from_db()
        return made

    def venue_has(self, what: str) -> list[dict[str, Any]]:
        """This account's "orders", "trades" or "transfers", with what a fault hides from ordinary reads."""
        return self.paper.state(self.account)[what]

    def wallets(self) -> dict[tuple[str, str], Decimal]:
        """What the venue holds for this account, by (account of our chart, asset), zeros left out."""
        account = self.paper.state(self.account)["accounts"][self.account]
        totals = {
            (code, asset): Decimal(balance["free"]) + Decimal(balance["locked"])
            for code, wallet in ((VENUE, "spot"), (INVENTORY, "funding"))
            for asset, balance in account[wallet].items()
        }
        return {key: total for key, total in totals.items() if total}

    def drain(self, asset: str, wallet: str, *, leave: str) -> None:
        """Move all but `leave` of an asset to the other wallet, as a person at the venue would."""
        codes = {"spot": VENUE, "funding": INVENTORY}
        amount = self.wallets()[codes[wallet], asset] - Decimal(leave)
        direction = "to_reserve" if wallet == "spot" else "to_trading"
        self.venue.transfer(asset=asset, amount=amount, direction=direction, stamp=self.venue.stamp())


def book_balances() -> dict[tuple[str, str], Decimal]:
    """Every account of the desk's book that is not zero, by (code, asset)."""
    return {(code, asset): total for _, code, asset, total in balances(DeskAccount, DeskTransfer) if total}


def assert_books_agree(desk: Desk) -> None:
    """Each asset adds up to zero, the wallets are what the venue holds, and trading is the carry and nothing else.

    Holds when nothing is in flight.
    """
    assert all(balance.total == 0 for balance in trial_balance(DeskAccount, DeskTransfer))
    books = book_balances()
    assert {key: total for key, total in books.items() if key[0] in (VENUE, INVENTORY)} == desk.wallets()
    carries = {carry.underlying: carry for carry in Carry.objects.all()}
    for coin, carry in carries.items():
        assert books.get((TRADING, coin), 0) == carry.coin
    assert books.get((TRADING, USDT), 0) == -sum((carry.usdt for carry in carries.values()), Decimal(0))


def states() -> list[str]:
    """The states of all conversions, oldest first."""
    return list(Conversion.objects.order_by("id").values_list("state", flat=True))


def order_states() -> set[str]:
    """The states that any accepted order is in."""
    return set(AcceptedOrder.objects.values_list("state", flat=True))


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls on threads that start together, each with connections of its own; their results in order."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait(timeout=10)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result(timeout=30) for future in [threads.submit(run, call) for call in calls]]


def assert_settled_once(desk: Desk, *, venue_orders: int) -> None:
    """Of the orders that reached the venue one was executed, ours are settled by it, and the books agree."""
    executed = [order for order in desk.venue_has("orders") if Decimal(order["executedQty"])]
    assert len(executed) == 1
    assert len(desk.venue_has("orders")) == venue_orders
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)
