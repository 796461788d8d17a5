"""Under load through both web processes: a switch stops them at once, and a customer's limits hold exactly."""

import os
import signal
import threading
import time
from datetime import timedelta
from itertools import count

import pytest
import requests
from django.db import connection
from django.utils import timezone
from rest_framework.authtoken.models import Token

from counter.limits.in_force import Setting, set_customer_limit
from counter.models import Account, SyncOrder
from counter.trading.switches import State, throw
from tests.support.factories import make_customer, make_option
from tests.support.web import PROMISED_SECONDS
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CUSTOMERS = 12
WITHIN = timedelta(seconds=1)
WRITERS = """
    SELECT DISTINCT application_name FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE '%%counter_syncorder%%' AND application_name = ANY(%s)
"""


class Bot(threading.Thread):
    """A customer who opens and opens; `answers` holds when each order was sent, and its status or code."""

    def __init__(self, web, token, symbol, stopping, name="o"):
        super().__init__(name=name)
        self.answers = []
        self._url, self._token, self._symbol, self._stopping = (
            f"{web.url}/api/v1/orders",
            token,
            symbol,
            stopping,
        )

    def told(self):
        return {told for _, told in self.answers}

    def run(self):
        number = 0
        while not self._stopping.is_set():
            number += 1
            order = {
                "type": "open",
                "client_order_id": f"{self.name}-{number}",
                "symbol": self._symbol,
                "contracts": 1,
            }
            sent_at = timezone.now()
            # A new connection each time, so that every process is met.
            headers = {"Authorization": f"Token {self._token}"}
            answer = requests.post(self._url, json=order, timeout=20, headers=headers)
            body = answer.json()
            self.answers.append((sent_at, body["error"]["code"] if "error" in body else answer.status_code))


def names_of(web):
    """What the web program's processes are called at the database."""
    return [f"web {process.pid}" for process in web.serving]


def both_write(web):
    """Wait until each of the two processes has been seen at it: between two batches neither shows."""
    seen = set()

    def look():
        with connection.cursor() as cursor:
            cursor.execute(WRITERS, [names_of(web)])
            seen.update(name for (name,) in cursor.fetchall())
        return len(seen) == 2

    return wait_until(look, within_seconds=30)


def test_no_process_takes_an_order_a_second_after_the_switch(web):
    option = make_option()
    tokens = [Token.objects.create(user=make_customer().user).key for _ in range(CUSTOMERS)]
    stopping = threading.Event()
    bots = [Bot(web, token, option.symbol, stopping) for token in tokens]
    for bot in bots:
        bot.start()
    try:
        assert wait_until(lambda: SyncOrder.objects.count() > 200, within_seconds=60)
        assert both_write(web)
        throw(underlying="BTC", to=State.OPENS_STOPPED, reason="a test", by="ann", now=timezone.now())
        stopped_at = timezone.now()
        time.sleep(2)
    finally:
        stopping.set()
        for bot in bots:
            bot.join()
    answers = [answer for bot in bots for answer in bot.answers]
    assert {told for _, told in answers} == {201, "trading_stopped"}
    late = [sent_at - stopped_at for sent_at, told in answers if told == 201 and sent_at > stopped_at]
    assert [delay for delay in late if delay > WITHIN] == []
    assert SyncOrder.objects.filter(placed_at__gt=stopped_at + WITHIN).count() == 0
    refused_after = [
        sent_at for sent_at, told in answers if sent_at > stopped_at and told == "trading_stopped"
    ]
    assert len(refused_after) > CUSTOMERS
    assert SyncOrder.objects.count() == sum(told == 201 for _, told in answers)


def test_one_customer_on_many_connections_opens_up_to_the_limit_and_no_contract_more(web):
    option, customer = make_option(), make_customer()
    to = Setting(contracts=333, notional=None)
    set_customer_limit(customer_id=customer.pk, to=to, reason="a test", by="ann", now=timezone.now())
    token = Token.objects.create(user=customer.user).key
    stopping = threading.Event()
    bots = [Bot(web, token, option.symbol, stopping, name=str(number)) for number in range(CUSTOMERS)]
    for bot in bots:
        bot.start()
    try:
        assert wait_until(lambda: SyncOrder.objects.count() > 200, within_seconds=60)
        assert both_write(web)
        assert wait_until(lambda: all("contracts_limit" in bot.told() for bot in bots), within_seconds=60)
    finally:
        stopping.set()
        for bot in bots:
            bot.join()
    told = [code for bot in bots for _, code in bot.answers]
    assert set(told) == {201, "contracts_limit"}
    assert told.count(201) == SyncOrder.objects.count() == 333
    assert Account.objects.get(customer=customer).open_contracts == 333


def writers(web):
    """The server processes of those connections that write orders."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = ANY(%s)"
            " AND query = 'COMMIT'",
            [names_of(web)],
        )
        return [pid for (pid,) in cursor.fetchall()]


def test_nothing_is_placed_after_a_refusal_though_an_earlier_attempt_hung_in_the_other_process(
    transactional_db, programs
):
    """The database of one process pauses; the client gives up and is refused by the other; the pause ends."""
    web = programs.web(ORDER_WITHIN_SECONDS=str(PROMISED_SECONDS))
    option, token = make_option(), Token.objects.create(user=make_customer().user).key
    headers = {"Authorization": f"Token {token}"}

    def send(name, within):
        """A new connection each time: the kernel chooses the process."""
        order = {"type": "open", "client_order_id": name, "symbol": option.symbol, "contracts": 1}
        try:
            return requests.post(f"{web.url}/api/v1/orders", json=order, timeout=within, headers=headers)
        except requests.Timeout:
            return None

    numbers = count()
    # Until each process has had one: one of them may still be starting.
    assert wait_until(
        lambda: send(f"warm-{next(numbers)}", 20).status_code == 201 and len(writers(web)) == 2,
        within_seconds=60,
    )
    paused, _ = writers(web)
    os.kill(paused, signal.SIGSTOP)
    try:
        hung = next(name for name in (f"h-{number}" for number in range(30)) if send(name, 0.5) is None)
        throw(underlying="BTC", to=State.OPENS_STOPPED, reason="a test", by="ann", now=timezone.now())
        # Which process a try comes to is the kernel's choice, and the machine may be slow.
        tries = (send(hung, 0.5) for _ in range(60))
        refusal = next(
            answer.json()["error"] for answer in tries if answer is not None and answer.status_code == 409
        )
        assert (refusal["code"], refusal["final"]) == ("trading_stopped", False)
        throw(underlying="BTC", to=State.RUNNING, reason="a test", by="ann", now=timezone.now())
        time.sleep(refusal["final_after_ms"] / 1000)
    finally:
        os.kill(paused, signal.SIGCONT)
    time.sleep(1)
    assert not SyncOrder.objects.filter(client_order_id=hung).exists()
    assert send(hung, 20).status_code == 201
