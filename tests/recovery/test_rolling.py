"""The web program's processes are replaced under clients that keep their connections and forgive nothing."""

import http.client
import json
import os
import signal
import threading
from collections import Counter

import psutil
import pytest
from rest_framework.authtoken.models import Token

from config.stack.supervision import wait_until
from counter.models import SyncOrder
from tests.recovery.test_web_process import Web
from tests.support.factories import make_customer, make_option

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CLIENTS = 8
PAUSE_SECONDS = 0.02
SOON = 60.0


class Strict:
    """A client that sends order after order over one connection until it is told to close it, and never sends twice."""

    def __init__(self, number: int, port: int, token: str, symbol: str, *, keeps: bool) -> None:
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.closed = 0
        self._number, self._port, self._symbol, self._keeps = number, port, symbol, keeps
        self._headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(SOON)

    def _run(self) -> None:
        connection, sent = None, 0
        while not self._stopping.wait(PAUSE_SECONDS):
            sent += 1
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=SOON)
                connection.request("POST", "/api/v1/orders", json.dumps(self._order(sent)), self._headers)
                answer = connection.getresponse()
                answer.read()
                self.answers[answer.status] += 1
                self.closed += answer.will_close
                if not answer.will_close and self._keeps:
                    continue
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            if connection is not None:
                connection.close()
            connection = None
        if connection is not None:
            connection.close()

    def _order(self, sent: int) -> dict[str, object]:
        return {
            "type": "open",
            "client_order_id": f"{self._number}-{sent}",
            "symbol": self._symbol,
            "contracts": 1,
        }


def test_no_request_fails_while_every_process_of_web_is_replaced(broker, tmp_path):
    web = Web(tmp_path)
    token = Token.objects.create(user=make_customer(balance="100000000").user).key
    clients = [
        Strict(number, web.port, token, make_option(days=30).symbol, keeps=number % 4 != 0)
        for number in range(CLIENTS)
    ]
    try:
        assert wait_until(lambda: all(client.answers[201] for client in clients), within_seconds=SOON)
        old = psutil.Process(web.process.pid).children()
        os.kill(web.process.pid, signal.SIGHUP)
        assert wait_until(lambda: not any(child.is_running() for child in old), within_seconds=SOON), web.log
        before = sum(client.answers.total() for client in clients)
        assert wait_until(
            lambda: sum(client.answers.total() for client in clients) > before + CLIENTS, within_seconds=SOON
        )
    finally:
        for client in clients:
            client.stop()
        web.stop()
    assert [client.failures for client in clients] == [[]] * CLIENTS
    # Quotes are of the test's beginning: on a slow machine they grow too old, which is an answer as well.
    assert {status for client in clients for status in client.answers} <= {201, 409}
    assert SyncOrder.objects.count() == sum(client.answers[201] for client in clients)
    assert any(client.closed for client in clients), "nobody was told to go"
