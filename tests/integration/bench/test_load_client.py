"""The load's client against a real socket that cuts answers at odd places, closes, and does not answer."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tools.bench.load.client import SOURCES, Client
from tools.bench.load.job import Job, Outcome
from tools.bench.load.schedule import requests
from tools.bench.load.wire import AnswerReader, AnswerUnreadable

BODY = b'{"id":1}'
ANSWER = b"HTTP/1.1 201 Created\r\nServer: x\r\nContent-Length: 8\r\n\r\n" + BODY


@contextmanager
def server(serve: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """Calls `serve(connection, number of the request)` for each request that has arrived whole."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener, serve), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def accept(listener: socket.socket, serve: Callable[[socket.socket, int], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            return
        threading.Thread(target=answer_all, args=(connection, serve), daemon=True).start()


def answer_all(connection: socket.socket, serve: Callable[[socket.socket, int], None]) -> None:
    number = 0
    with connection:
        while connection.recv(65536):
            try:
                serve(connection, number)
            except OSError:
                return
            number += 1


def outcome(url: str, **terms) -> Outcome:
    defaults: dict = {"connections": 2, "orders_each": 1, "seconds": 0.3, "patience_seconds": 10.0}
    defaults |= {"url": url, "tokens": ["a", "b"], "symbols": ["S"], "run_id": "run"}
    job = Job(**(defaults | terms))
    return Client(job, requests(job)).run()


def test_answers_are_put_together_wherever_they_are_cut():
    for cut in range(1, len(ANSWER)):
        reader = AnswerReader()
        assert reader.feed(ANSWER[:cut]) is None
        assert reader.feed(ANSWER[cut:]) == (201, BODY)
        assert reader.feed(ANSWER) == (201, BODY), "the next answer on the same connection"


def test_an_answer_without_length_or_with_too_much_is_no_answer():
    with pytest.raises(AnswerUnreadable):
        AnswerReader().feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(AnswerUnreadable):
        AnswerReader().feed(ANSWER + b"H")


def test_every_order_is_counted_once_however_its_answer_arrives():
    def in_pieces(connection: socket.socket, number: int) -> None:
        cut = number % (len(ANSWER) - 1) + 1
        connection.sendall(ANSWER[:cut])
        time.sleep(0.001)
        connection.sendall(ANSWER[cut:])

    with server(in_pieces) as url:
        sent = outcome(url, rate=200.0)
    assert (sent.offered, sent.accepted, sent.unanswered) == (60, 60, 0)
    assert sent.p50_ms is not None
    assert sent.p50_ms >= 1.0


def test_a_closed_connection_leaves_its_order_unanswered_and_is_replaced():
    def third_is_cut(connection: socket.socket, number: int) -> None:
        if number == 2:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(ANSWER)

    with server(third_is_cut) as url:
        sent = outcome(url, rate=40.0, connections=1)
    assert sent.offered == 12
    assert sent.unanswered == 4
    assert sent.accepted == 8


def test_what_is_never_answered_is_given_up_and_counted():
    with server(lambda connection, number: None) as url:
        sent = outcome(url, rate=20.0, patience_seconds=0.3)
    assert (sent.offered, sent.accepted, sent.unanswered) == (6, 0, 6)


def test_an_open_loop_counts_from_when_an_order_was_due():
    def slow_once(connection: socket.socket, number: int) -> None:
        if number == 0:
            time.sleep(0.4)
        connection.sendall(ANSWER)

    with server(slow_once) as url:
        sent = outcome(url, rate=20.0, connections=1)
    assert sent.accepted == 6
    assert sent.p50_ms is not None
    assert sent.p50_ms > 100, "the orders behind the slow one waited too"


def test_a_closed_loop_says_when_it_ran_out_of_orders():
    with server(lambda connection, number: connection.sendall(ANSWER)) as url:
        assert outcome(url, prebuilt=20).ran_dry
        assert outcome(url, prebuilt=20).accepted == 20


def test_customers_come_from_several_addresses_as_one_has_a_limit_of_connections():
    peers = set()

    def note(connection: socket.socket, number: int) -> None:
        peers.add(connection.getpeername()[0])
        connection.sendall(ANSWER)

    with server(note) as url:
        sent = outcome(url, rate=400.0, connections=40, tokens=[f"customer-{number}" for number in range(40)])
    assert sent.accepted == 120
    assert len(peers) == SOURCES
