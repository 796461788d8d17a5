"""The web program's processes are replaced under clients that keep their connections and forgive nothing."""

import os
import signal

import pytest
from rest_framework.authtoken.models import Token

from counter.models import SyncOrder
from tests.support.factories import make_customer, make_option
from tests.support.strict import SOON, Strict
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 6


def test_no_request_fails_while_every_process_of_web_is_replaced(web):
    token = Token.objects.create(user=make_customer(balance="100000000").user).key
    clients = [
        Strict(number, web.port, token, make_option(days=30).symbol, keeps=number % 3 != 0)
        for number in range(CLIENTS)
    ]
    try:
        assert wait_until(lambda: all(client.answers[201] for client in clients), within_seconds=SOON)
        old = web.serving
        os.kill(web.process.pid, signal.SIGHUP)
        assert wait_until(lambda: not any(child.is_running() for child in old), within_seconds=SOON), web.log
        before = sum(client.answers.total() for client in clients)
        assert wait_until(
            lambda: sum(client.answers.total() for client in clients) > before + CLIENTS, within_seconds=SOON
        )
    finally:
        for client in clients:
            client.stop()
    assert [client.failures for client in clients] == [[]] * CLIENTS
    assert {status for client in clients for status in client.answers} == {201}
    assert SyncOrder.objects.count() == sum(client.answers[201] for client in clients)
    assert any(client.closed for client in clients), "nobody was told to go"
