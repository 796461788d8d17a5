"""The stream program's process is killed or replaced under customers who listen: they come again and miss nothing."""

import signal
import threading
import time

import pytest

from counter.models import Account, Position, SyncOrder
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.listening import Listening, token_of
from tests.support.public_ids import row
from tests.support.settling import settle
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 60.0


class Faithful:
    """Comes again with its last id whenever its stream ends, and keeps what it was told last of each thing."""

    def __init__(self, url, customer):
        self.orders, self.positions, self.balance = {}, {}, None
        self.ends, self.streams, self.refused = [], 0, 0
        self._url, self._headers = url, token_of(customer)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self):
        self._stopping.set()
        self._thread.join(SOON)

    def _run(self):
        last_id = ""
        while not self._stopping.is_set():
            try:
                stream = Listening(
                    self._url, headers=self._headers | ({"Last-Event-ID": last_id} if last_id else {})
                )
            except OSError:
                self.refused += 1
                time.sleep(0.1)
                continue
            self.streams += 1
            taken = 0
            while not (stream.is_over and taken == len(stream.events)) and not self._stopping.is_set():
                for event in stream.events[taken:]:
                    self._take(event)
                    taken += 1
                time.sleep(0.01)
            last_id = stream.last_id or last_id
            stream.close()

    def _take(self, event):
        if event.name == "snapshot":
            for order in event.data["orders"]:
                self.orders[row(order["id"])] = order["state"]
            for position in event.data["positions"]:
                self.positions[row(position["id"])] = (position["state"], position["remaining"])
            self.balance = event.data["balance"]["balance"]
        elif event.name == "order":
            self.orders[row(event.data["id"])] = event.data["state"]
        elif event.name == "position":
            self.positions[row(event.data["id"])] = (event.data["state"], event.data["remaining"])
        elif event.name == "balance":
            self.balance = event.data["balance"]
        elif event.name == "end":
            self.ends.append(event.data["code"])

    def knows_all_of(self, customer):
        orders = dict(SyncOrder.objects.filter(customer=customer).values_list("pk", "state"))
        positions = Position.objects.filter(customer=customer).values_list("pk", "state", "remaining")
        return (
            self.orders == {order_id: state.lower() for order_id, state in orders.items()}
            and self.positions == {pk: (state.lower(), remaining) for pk, state, remaining in positions}
            and self.balance == str(Account.objects.get(customer=customer).balance)
        )


def trade_until(is_done, customer):
    """Open, settle and close all the while, an order at a time."""
    unsettled = []
    started = time.monotonic()
    while not is_done() or len(unsettled) < 3:
        assert time.monotonic() - started < SOON
        opened = place_open(customer, make_option())
        unsettled.append(opened)
        if len(unsettled) % 2:
            unsettled.append(place_close(opened, payout="at_fill"))
        for order in unsettled[:-3]:
            settle(order)
        unsettled = unsettled[-3:]
        time.sleep(0.02)
    for order in unsettled:
        settle(order)


@pytest.mark.parametrize("blow", ["kill", "replace"])
def test_listeners_miss_nothing_while_the_process_gives_place(stream, blow):
    customers = [make_customer(balance="10000000") for _ in range(3)]
    listeners = [Faithful(stream.url, customer) for customer in customers]
    try:
        assert wait_until(lambda: all(each.streams for each in listeners), within_seconds=SOON)
        [old] = stream.serving
        if blow == "kill":
            old.kill()
        else:
            stream.process.send_signal(signal.SIGHUP)
        trade_until(lambda: not old.is_running(), customers[0])
        for customer in customers[1:]:
            trade_until(lambda: True, customer)
        assert wait_until(lambda: all(each.streams > 1 for each in listeners), within_seconds=SOON), (
            stream.log
        )
        for each, customer in zip(listeners, customers, strict=True):
            assert wait_until(lambda e=each, c=customer: e.knows_all_of(c), within_seconds=SOON), vars(each)
    finally:
        for each in listeners:
            each.stop()
    if blow == "replace":
        assert [each.ends for each in listeners] == [["restarting"]] * 3
        assert not any(each.refused for each in listeners), "a connection was refused"
    assert "Traceback" not in stream.log


def test_told_to_end_it_lets_its_listeners_go_first(stream):
    heard = Listening(stream.url, headers=token_of(make_customer()))
    heard.hears(lambda it: it.of("snapshot"))
    stream.process.send_signal(signal.SIGTERM)
    assert heard.hears(lambda it: it.of("end"))[0]["code"] == "restarting"
    assert stream.process.wait(timeout=SOON) == 0, stream.log
    assert wait_until(lambda: heard.is_over, within_seconds=SOON)
    heard.close()
    assert "Traceback" not in stream.log
