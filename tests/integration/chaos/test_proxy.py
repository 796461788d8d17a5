"""A line that can be broken in each way, in front of a server that echoes."""

import socket
import socketserver
import threading
import time

import pytest

from tools.chaos import proxy as proxies
from tools.chaos.lines import proxied
from tools.chaos.proxy import Line, Proxy

SOON = 10.0


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1000):
            self.request.sendall(data)


@pytest.fixture
def server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def line(server):
    made = Proxy(*server.server_address)
    yield made
    made.close()


def connected(line):
    return socket.create_connection(("127.0.0.1", line.port), timeout=SOON)


def echoed(client, text=b"hello"):
    client.sendall(text)
    return client.recv(1000)


def test_a_line_that_is_up_carries_everything(line):
    with connected(line) as client:
        assert echoed(client) == b"hello"


def test_a_cut_line_ends_connections_and_takes_no_new_ones_until_it_is_mended(line):
    with connected(line) as client:
        assert echoed(client) == b"hello"
        line.set(Line.CUT)
        assert client.recv(1000) == b""
        with pytest.raises(ConnectionRefusedError):
            connected(line)
    line.set(Line.UP)
    with connected(line) as client:
        assert echoed(client) == b"hello"


def test_a_hung_line_takes_connections_and_says_nothing(line):
    line.set(Line.HUNG)
    with connected(line) as client:
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            echoed(client)
        line.set(Line.UP)
        client.settimeout(SOON)
        assert client.recv(1000) == b""


def test_a_reset_is_a_reset(line):
    with connected(line) as client:
        assert echoed(client) == b"hello"
        line.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1000)
    with connected(line) as client:
        assert echoed(client) == b"hello"


def test_a_torn_line_gives_half_an_answer(line):
    line.set(Line.TORN)
    with connected(line) as client:
        assert echoed(client, b"12345678") == b"1234"
        assert client.recv(1000) == b""


def test_a_slow_line_carries_everything_late(line, monkeypatch):
    monkeypatch.setattr(proxies, "SLOW_SECONDS", 0.05)
    line.set(Line.SLOW)
    with connected(line) as client:
        started = time.monotonic()
        assert echoed(client) == b"hello"
        assert time.monotonic() - started >= 0.1  # there and back


def test_a_server_that_is_away_costs_the_client_its_connection_and_the_line_nothing(server, line):
    server.shutdown()
    server.server_close()
    with connected(line) as client:
        assert client.recv(1000) == b""
    connected(line).close()  # it still listens


def test_the_addresses_lead_through_the_proxies_and_keep_everything_else(server):
    port = server.server_address[1]
    environment = {"BROKER_URL": f"redis://:pass@127.0.0.1:{port}/3", "VENUE_URL": "https://example.com"}
    with proxied(environment) as (addresses, injections):
        [(name, url)] = addresses.items()
        assert (name, url.startswith("redis://:pass@127.0.0.1:"), url.endswith("/3")) == (
            "BROKER_URL",
            True,
            True,
        )
        assert str(port) not in url
        assert {injection.name for injection in injections} == {
            f"{kind}:broker-line" for kind in ("cut", "hang", "slow", "tear", "reset")
        }
