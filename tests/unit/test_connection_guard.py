"""Connections that nobody uses, in a process that serves some: which are closed, and which are let be."""

import os
import socket
import time
from contextlib import ExitStack

import pytest

from infra.http_server import connection_guard
from infra.http_server.connection_guard import ConnectionGuard


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(connection_guard, "FEW", 0)
    monkeypatch.setattr(connection_guard, "UNFINISHED_AFTER_SECONDS", 0.1)
    with ExitStack() as open_, socket.create_server(("127.0.0.1", 0)) as listening:

        def connect():
            client = open_.enter_context(socket.create_connection(listening.getsockname()))
            accepted, _ = listening.accept()
            open_.enter_context(accepted)
            client.settimeout(0.3)
            return client, accepted

        yield connect


def is_open(client):
    try:
        return client.recv(10) != b""
    except TimeoutError:
        return True


def answered(pair):
    client, accepted = pair
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    accepted.recv(100)
    accepted.sendall(b"ok")
    assert client.recv(10) == b"ok"
    return client


def test_of_half_sent_requests_of_one_address_only_so_many_are_kept_and_no_answered_one_goes(
    server, monkeypatch
):
    monkeypatch.setattr(connection_guard, "UNFINISHED_OF_ADDRESS", 3)
    idle = answered(server())
    half = [server()[0] for _ in range(8)]
    for client in half:
        client.sendall(b"GET / HTTP/1.1\r\nX-A: 1")
    time.sleep(0.2)
    assert ConnectionGuard(of_address=100).look() == 5
    assert [is_open(client) for client in half].count(True) == 3
    assert is_open(idle)


def test_a_request_that_follows_an_answer_counts_as_half_sent_too(server, monkeypatch):
    monkeypatch.setattr(connection_guard, "UNFINISHED_OF_ADDRESS", 0)
    client, idle = answered(server()), answered(server())
    time.sleep(0.05)
    client.sendall(b"GET / HTTP")
    time.sleep(0.2)
    assert ConnectionGuard(of_address=100).look() == 1
    assert not is_open(client)
    assert is_open(idle)


def test_a_client_that_is_sent_nothing_for_long_is_let_go(server, monkeypatch):
    monkeypatch.setattr(connection_guard, "SILENT_AFTER_SECONDS", 0.15)
    silent = server()[0]
    time.sleep(0.2)
    heard = answered(server())
    assert ConnectionGuard(of_address=100).look() == 1
    assert not is_open(silent)
    assert is_open(heard)


@pytest.mark.parametrize(("trusted", "closed"), [(False, 4), (True, 0)])
def test_an_address_has_so_many_connections_unless_it_is_a_proxy_of_ours(server, trusted, closed):
    clients = []
    for _ in range(10):
        clients.append(answered(server()))
        time.sleep(0.01)
    guard = ConnectionGuard(of_address=6, is_trusted=lambda address: trusted)
    assert guard.look() == closed
    assert [is_open(client) for client in clients] == [False] * closed + [True] * (10 - closed)


def test_looking_leaves_no_descriptor_behind(server, tmp_path):
    server()
    with (tmp_path / "file").open("w"):
        guard = ConnectionGuard(of_address=100)
        guard.look()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            guard.look()
        assert len(os.listdir("/proc/self/fd")) == before
