"""A call of somebody who answers without an end is ended, and the next one succeeds: with a real socket."""

import itertools
import socket
import threading
import time

import pytest
import requests
import urllib3

from infra.exchange.client import new_exchange
from infra.exchange.lean_ccxt import ccxt
from infra.http_client.bounded_calls import BoundedSession

WITHIN_SECONDS = 0.3
SOON_SECONDS = 60.0  # of what would last for an hour
WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"serverTime": 1} '
ENDLESS = {
    "headers": b"HTTP/1.1 200 OK\r\nX: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    "body of a connection that closes": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n",
    "body that says no length": b"HTTP/1.1 200 OK\r\n\r\n{}",
}


class Dripping:
    """Answers the first request by a beginning and then a space at a time, and every later one as it should."""

    def __init__(self, beginning: bytes) -> None:
        self._beginning = beginning
        self._count = itertools.count()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while connection.recv(65536):
                    if next(self._count):
                        connection.sendall(WHOLE)
                        continue
                    connection.sendall(self._beginning)
                    while not self._ended.wait(0.02):
                        connection.sendall(b" ")
            except OSError:
                return


@pytest.fixture(params=list(ENDLESS))
def dripping(request):
    made = Dripping(ENDLESS[request.param])
    yield made
    made.close()


def test_an_answer_without_an_end_is_a_time_out_and_the_next_one_is_heard(dripping):
    with BoundedSession(within_seconds=WITHIN_SECONDS) as session:
        started = time.monotonic()
        with pytest.raises(requests.ReadTimeout):
            session.get(dripping.url, timeout=SOON_SECONDS)
        assert WITHIN_SECONDS <= time.monotonic() - started < SOON_SECONDS
        session.within_seconds = SOON_SECONDS
        for _ in range(2):
            assert session.get(dripping.url, timeout=SOON_SECONDS).json() == {"serverTime": 1}


def test_a_venue_that_answers_without_an_end_has_given_no_word(dripping, monkeypatch):
    monkeypatch.setattr("infra.exchange.client.READ_ON_SECONDS", 0.0)
    exchange = new_exchange(client="binance", url=dripping.url, timeout_seconds=WITHIN_SECONDS)
    with pytest.raises(ccxt.RequestTimeout):
        exchange.fetch_time()
    exchange.timeout, exchange.session.within_seconds = 5000, SOON_SECONDS
    assert exchange.fetch_time() == 1


def test_who_is_reached_only_when_the_time_is_up_is_not_listened_to(dripping, monkeypatch):
    """A name that resolves slowly, or a first address that hangs: the connection is there after the cut."""
    reach = urllib3.util.connection.create_connection

    def slowly(*given, **more):
        time.sleep(2 * WITHIN_SECONDS)
        return reach(*given, **more)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", slowly)
    began = time.monotonic()
    with BoundedSession(within_seconds=WITHIN_SECONDS) as session, pytest.raises(requests.ReadTimeout):
        session.get(dripping.url, timeout=SOON_SECONDS)
    assert time.monotonic() - began < SOON_SECONDS


def test_who_does_not_listen_is_no_time_out():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with BoundedSession(within_seconds=5.0) as session, pytest.raises(requests.ConnectionError) as refused:
        session.get(url, timeout=5)
    assert not isinstance(refused.value, requests.Timeout)
