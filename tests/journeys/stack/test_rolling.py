"""Every program of a running stack is replaced while customers order and listen."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from examples.python.crossbook_client import Event
from tests.support.browsing import Cockpit
from tests.support.insisting import Customer, Insisting
from tools.stack.programs import APPS
from tools.stack.rolling import SERVING
from tools.stack.supervision import wait_until

CUSTOMERS = 3
ORDERS_A_SECOND = 10
ROLLS = 1  # after which each leader is the one that stood by, and was back
SOON = 180.0  # on a machine that does other things


class Listener:
    """A customer's program that listens for its orders, and comes again whenever its stream ends."""

    def __init__(self, customer: Customer) -> None:
        self.states: dict[str, str] = {}
        self.heard: Counter[str] = Counter()
        self._customer = customer
        self._over = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def leave(self) -> None:
        """Go with the next event; a heartbeat is one."""
        self._over.set()

    def _listen(self) -> None:
        for event in self._customer.client.events(channels="orders"):
            self.states |= {order["id"]: order["state"] for order in orders_in(event)}
            self.heard[event.name] += 1
            if self._over.is_set():
                return


def orders_in(event: Event) -> list[dict[str, Any]]:
    """As a snapshot or a change tells them."""
    if event.name == "snapshot":
        return event.data["orders"]
    return [event.data] if event.name == "order" else []


# Minutes on a machine that does other things, for no more than it shows alone.
@pytest.mark.timed
def test_every_program_is_replaced_while_customers_order_and_listen(stack: Cockpit) -> None:
    customers = [stack.customer(f"insisting-{number}") for number in range(CUSTOMERS)]
    with listening(customers) as listeners:
        assert wait_until(lambda: all(each.heard for each in listeners), within_seconds=SOON)
        before = pids(stack)
        load = Insisting(customers, symbol=stack.symbol(), a_second=ORDERS_A_SECOND)
        try:
            wait_for_orders(load)
            for _ in range(ROLLS):
                replaced = stack.tool("roll")
                after = pids(stack)
                assert changed(before, after) == set(before), replaced
                before = after
            wait_for_orders(load)
        finally:
            load.stop()
        assert (load.refused, load.unanswered) == (Counter(), set())
        for customer, listener in zip(customers, listeners, strict=True):
            all_settled_once(customer)
            heard_of_all(listener, customer)
    stack.manage("audit")  # fails if anything is broken or unchecked


@contextmanager
def listening(customers: list[Customer]) -> Iterator[list[Listener]]:
    listeners = [Listener(customer) for customer in customers]
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.leave()


def wait_for_orders(load: Insisting) -> None:
    """Until some more are acknowledged."""
    wanted = load.acknowledged + 2 * ORDERS_A_SECOND
    assert wait_until(lambda: load.acknowledged > wanted, within_seconds=SOON), (
        load.refused,
        load.unanswered,
    )


def pids(stack: Cockpit) -> dict[str, set[int]]:
    """Of the processes that do each program's work: a master that serves nobody itself stays."""
    return {
        process.name: {child.pid for child in psutil.Process(process.pid).children()}
        if process.name in SERVING
        else {process.pid}
        for process in stack.info.processes
        if process.group == APPS and process.pid
    }


def changed(before: dict[str, set[int]], after: dict[str, set[int]]) -> set[str]:
    """The programs that run again, and of which nothing is left."""
    return {name for name, old in before.items() if after.get(name) and not old & after[name]}


def all_settled_once(customer: Customer) -> None:
    """What was acknowledged is what there is."""
    client = customer.client
    unsettled = ("pending", "synced")
    assert wait_until(
        lambda: not any(order for state in unsettled for order in client.orders(state=state)),
        within_seconds=SOON,
        every_seconds=0.5,
    )
    found = sorted((order.client_order_id, order.id, order.state) for order in client.orders())
    assert found == sorted((name, order_id, "settled") for name, order_id in customer.acknowledged.items())


def heard_of_all(listener: Listener, customer: Customer) -> None:
    """It came back after each roll, and knows how every order ended."""
    ended = dict.fromkeys(customer.acknowledged.values(), "settled")
    assert wait_until(lambda: listener.states == ended, within_seconds=SOON), listener.heard
    assert listener.heard["snapshot"] > ROLLS, listener.heard
