"""A start that returns says whether options are sold yet."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tools.stack import readiness, trading

Answers = Callable[..., str]


def quote(symbol: str, **terms) -> dict:
    return {"symbol": symbol, "cost": "12.00", "is_stale": False, "coin_state": "normal"} | terms


@pytest.fixture
def answering() -> Iterator[Answers]:
    """The URL of a server that answers each request with the next of these lists of quotes, the last one for ever."""
    servers = []

    def serve(*lists: list[dict]) -> str:
        left = list(lists)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"results": left.pop(0) if len(left) > 1 else left[0]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Nothing is logged."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


BTC, ETH = quote("BTC-20261225-60000-C"), quote("ETH-20261225-3000-P")


@pytest.mark.parametrize(
    ("quotes", "closed"),
    [
        ([BTC, ETH], []),
        ([], ["no option has a price"]),
        ([BTC | {"is_stale": True}, ETH], ["BTC (normal)"]),
        ([BTC, ETH | {"cost": None, "coin_state": "halted"}], ["ETH (halted)"]),
        ([BTC | {"cost": None}, BTC, ETH], []),
    ],
)
def test_a_coin_is_closed_until_one_of_its_options_has_a_fresh_price(answering, quotes, closed):
    assert trading.closed_coins(answering(quotes)) == closed


def test_a_server_that_does_not_answer_sells_nothing():
    assert trading.closed_coins("http://127.0.0.1:9") == ["no option has a price"]


def test_it_waits_until_each_coin_is_sold(answering):
    told: list[str] = []
    assert trading.wait(answering([], [BTC | {"cost": None}, ETH], [BTC, ETH]), tell=told.append)
    assert told == []


def test_what_is_not_sold_in_time_is_told_with_the_page_that_says_why(answering, monkeypatch):
    monkeypatch.setattr(readiness, "SAYS_EVERY_SECONDS", 0.1)
    told: list[str] = []
    url = answering([BTC, ETH | {"cost": None, "coin_state": "halted"}])
    assert not trading.wait(url, tell=told.append, within_seconds=0.2)
    assert told[-1] == "not sold yet: ETH (halted); the admin's first page says why"
