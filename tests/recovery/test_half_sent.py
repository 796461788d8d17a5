"""Clients that hold places of the web program with half a request: everybody else is answered meanwhile."""

import socket
import time
from contextlib import ExitStack

import pytest
import requests
from rest_framework.authtoken.models import Token

from tests.support.factories import make_customer, make_option

pytestmark = pytest.mark.django_db(transaction=True)

HALF_SENT = 1300
HEADERS = b"POST /api/v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HALVES = {
    "headers": HEADERS,
    "body": HEADERS + b"Content-Length: 100\r\n\r\n{",
    "nothing": b"",
}


def half_sent(program, half, held):
    for _ in range(HALF_SENT):
        client = held.enter_context(socket.create_connection(("127.0.0.1", program.port), timeout=10))
        client.sendall(half)


@pytest.mark.timed
def test_half_sent_requests_keep_nobody_out(web):
    option, token = make_option(), Token.objects.create(user=make_customer().user).key
    headers = {"Authorization": f"Token {token}"}
    for number, half in enumerate(HALVES.values()):
        with ExitStack() as held:
            half_sent(web, half, held)
            started = time.monotonic()
            for attempt in range(4):  # new connections: both processes are met
                assert requests.get(f"{web.url}/healthz", timeout=5).ok
                order = {"type": "open", "client_order_id": f"o-{number}-{attempt}", "contracts": 1}
                order["symbol"] = option.symbol
                placed = requests.post(f"{web.url}/api/v1/orders", json=order, headers=headers, timeout=5)
                assert placed.status_code == 201, placed.text
            assert time.monotonic() - started < 5


def test_half_sent_requests_keep_no_listener_out(stream):
    with ExitStack() as held:
        half_sent(stream, HALVES["headers"], held)
        assert requests.get(f"{stream.url}/healthz", timeout=5).ok


@pytest.mark.timed
def test_a_body_that_does_not_end_is_told_so(web):
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as client:
        client.sendall(HALVES["body"])
        started = time.monotonic()
        assert client.recv(100).startswith(b"HTTP/1.1 408")
        assert 9 < time.monotonic() - started < 14
