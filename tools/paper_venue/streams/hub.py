"""Who listens to what, and what is sent to them: each message once, as the faults that strike it would have it.

Nothing here waits: messages are handed to connections, which send them when they can.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from tools.paper_venue.faults import OF_STREAMS
from tools.paper_venue.odd_books import showing
from tools.paper_venue.prices.quotes import Print
from tools.paper_venue.records import Event, Funded, OrderChanged, Transferred, Wallet
from tools.paper_venue.streams.account_messages import account_position, balance_update, order_reports
from tools.paper_venue.streams.disturbance import Disturbance
from tools.paper_venue.streams.names import Stream
from tools.paper_venue.streams.topics import Topic, topic_of
from tools.paper_venue.symbols import SYMBOLS
from tools.paper_venue.venue import Venue

METHOD, PATH = "PUSH", "/ws/"  # what a fault knows messages of streams by, with the stream's name after it
OF_ACCOUNTS = "userData"


class Listener(Protocol):
    """Where messages of one subscription go."""

    def send(self, message: str) -> None:
        """Send it, as this subscription wraps it."""

    def cut(self) -> None:
        """End the connection without a word."""


class Hub:
    """See the module. `publish` is called whenever something may have changed."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._topics: dict[str, tuple[Stream, Topic]] = {}
        self._listeners: defaultdict[str, dict[Listener, None]] = defaultdict(dict)
        self._disturbances: defaultdict[str, Disturbance] = defaultdict(Disturbance)
        self._known_orders = set(venue.state.standing)
        venue.listeners.append(self._hear)
        for name, market in venue.engine.markets.items():
            market.printed = self._printing(name)
            market.snapshot_taken = self.publish  # changes of the book go on from there

    @property
    def has_topics(self) -> bool:
        """Whether anybody listens to a market."""
        return bool(self._topics)

    def listen(self, stream: Stream, listener: Listener) -> None:
        """From now on; what was before is not sent."""
        if stream.name not in self._topics:
            market = self._venue.engine.markets[stream.symbol]
            self._topics[stream.name] = (stream, topic_of(stream, market, now_ms=self._venue.clock_ms()))
        self._listeners[stream.name][listener] = None

    def leave(self, stream: Stream, listener: Listener) -> None:
        self._forget(stream.name, listener)
        if stream.name not in self._listeners:
            self._topics.pop(stream.name, None)
            self._disturbances.pop(stream.name, None)

    def listen_to_account(self, account: str, listener: Listener) -> None:
        self._listeners[_of_account(account)][listener] = None

    def leave_account(self, account: str, listener: Listener) -> None:
        self._forget(_of_account(account), listener)

    def publish(self) -> None:
        """Send what the markets' listeners do not know yet."""
        now_ms = self._venue.clock_ms()
        for stream, topic in list(self._topics.values()):
            for render in topic.due(now_ms=now_ms):
                self._send(stream.name, stream.name, render)

    def _forget(self, key: str, listener: Listener) -> None:
        self._listeners[key].pop(listener, None)
        if not self._listeners[key]:
            del self._listeners[key]

    def _printing(self, symbol: str) -> Callable[[int, Print], None]:
        def printed(trade_id: int, item: Print) -> None:
            for stream, topic in self._topics.values():
                if stream.symbol == symbol:
                    topic.note(trade_id, item)

        return printed

    def _hear(self, event: Event) -> None:
        """Tell accounts of what happened to them."""
        for account, message in self._told(event):
            if _of_account(account) in self._listeners:
                self._send(_of_account(account), OF_ACCOUNTS, lambda message=message: message)  # type: ignore[misc]

    def _told(self, event: Event) -> Iterator[tuple[str, dict[str, Any]]]:
        now_ms = self._venue.clock_ms()
        match event:
            case OrderChanged(order, trades):
                is_new = order.order_id not in self._known_orders
                for report in order_reports(order, trades, is_new=is_new, now_ms=now_ms):
                    yield order.account, report
                if order.status.is_open:
                    self._known_orders.add(order.order_id)
                else:
                    self._known_orders.discard(order.order_id)
                symbol = SYMBOLS[order.symbol]
                assets = {symbol.base, symbol.quote, *(trade.commission_asset for trade in trades)}
                yield order.account, self._position(order.account, assets, now_ms)
            case Transferred(moved):
                delta = moved.amount if moved.target is Wallet.SPOT else -moved.amount
                yield moved.account, balance_update(moved.asset, delta, at_ms=moved.at_ms, now_ms=now_ms)
                yield moved.account, self._position(moved.account, {moved.asset}, now_ms)
            case Funded(account, Wallet.SPOT, asset, amount, at_ms):
                yield account, balance_update(asset, amount, at_ms=at_ms, now_ms=now_ms)
                yield account, self._position(account, {asset}, now_ms)

    def _position(self, account: str, assets: Iterable[str], now_ms: int) -> dict[str, Any]:
        return account_position(self._venue.state.account(account), assets, now_ms=now_ms)

    def _send(self, key: str, name: str, render: Callable[[], dict[str, Any] | None]) -> None:
        struck = self._venue.faults.strike(
            method=METHOD, path=PATH + name, now_ms=self._venue.clock_ms(), kinds=OF_STREAMS
        )
        with showing(self._venue.engine.markets.values(), struck):
            message = render()
        if message is None:
            return
        listeners = self._listeners[key]
        text = json.dumps(message, separators=(",", ":"))
        self._disturbances[key].pass_on(text, struck, lambda: list(listeners))


def _of_account(account: str) -> str:
    return f"{OF_ACCOUNTS}/{account}"
