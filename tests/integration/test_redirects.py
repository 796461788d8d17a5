"""What carries our keys goes to the host that was named and to no other: two real servers, of which one points to the
other, by a redirect or as the environment's proxy."""

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from acceptance import counter_client
from examples.python import crossbook_client as crossbook
from infra.exchange.client import _point_to, new_exchange
from infra.exchange.lean_ccxt import ccxt
from settlement.venues import error_table
from settlement.venues.error_table import Answer, Follow, Outcome
from settlement.venues.protocol import VenueError

STATUSES = [301, 302, 303, 307, 308]
FILLED = {
    "symbol": "BTCUSDT",
    "orderId": 1,
    "clientOrderId": "xb1",
    "status": "FILLED",
    "side": "BUY",
    "type": "LIMIT",
    "price": "90000",
    "origQty": "0.01",
    "executedQty": "0.01",
    "cummulativeQuoteQty": "900",
    "transactTime": 1,
    "fills": [{"tradeId": 1, "price": "90000", "qty": "0.01", "commission": "0", "commissionAsset": "BTC"}],
}
MOVED = {"code": -2010, "msg": "no"}


class Noting(BaseHTTPRequestHandler):
    """Notes each request and answers all of them alike."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server: Any = self.server
        server.heard.append(f"{self.command} {self.path}")
        status, headers, body = server.says
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_CONNECT = answer

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def servers() -> Iterator[tuple[Any, Any]]:
    """The one that is asked and another; both would confirm anything."""
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Noting) as asked,
        ThreadingHTTPServer(("127.0.0.1", 0), Noting) as other,
    ):
        made: tuple[Any, Any] = asked, other
        threads = [threading.Thread(target=each.serve_forever, args=(0.01,)) for each in made]
        for server, thread in zip(made, threads, strict=True):
            server.heard, server.says, server.daemon_threads = (
                [],
                (200, {}, json.dumps(FILLED).encode()),
                True,
            )
            server.block_on_close = False
            thread.start()
        yield made
        for server, thread in zip(made, threads, strict=True):
            server.shutdown()
            thread.join()


def url(server: Any) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture(params=STATUSES)
def status(request: pytest.FixtureRequest, servers: tuple[Any, Any]) -> int:
    asked, other = servers
    asked.says = (request.param, {"Location": f"{url(other)}/api/v3/order"}, json.dumps(FILLED).encode())
    return int(request.param)


def submit(venue: Any) -> Any:
    return venue.submit(
        underlying="BTC",
        client_order_id="xb1",
        side="buy",
        quantity=Decimal("0.01"),
        limit_price=Decimal("90000"),
        stamp=venue.stamp(),
    )


def find(venue: Any) -> Any:
    return venue.find(underlying="BTC", client_order_id="xb1")


@pytest.mark.parametrize("body", [FILLED, MOVED])
@pytest.mark.parametrize("call", [submit, find])
def test_a_venues_redirect_is_not_followed_and_leaves_the_outcome_unknown(venue, servers, status, call, body):
    asked, other = servers
    asked.says = (*asked.says[:2], json.dumps(body).encode())
    _point_to(venue._exchange(), url(asked))
    with pytest.raises(VenueError, match=f"redirect to '{url(other)}") as raised:
        call(venue)
    assert len(asked.heard) == 1
    assert other.heard == []
    told = raised.value
    assert (told.kind, told.status, json.loads(told.raw)) == ("BadResponse", status, body)
    verdict = error_table.TABLE.judge(Answer("binance", told.kind, told.code, told.status))
    assert (verdict.outcome, verdict.follow) == (Outcome.UNKNOWN, Follow.ASK)


@pytest.mark.parametrize("location", ["http://[", "", "//", "/api/v3/order", "file:///etc/passwd"])
def test_a_redirect_to_nowhere_is_no_other_case(venue, servers, location):
    asked, _ = servers
    asked.says = (307, {"Location": location}, b"")
    _point_to(venue._exchange(), url(asked))
    with pytest.raises(VenueError) as raised:
        submit(venue)
    assert (raised.value.kind, len(asked.heard)) == ("BadResponse", 1)


def test_public_data_is_not_taken_from_where_a_redirect_points_to(servers, status):
    asked, other = servers
    exchange = new_exchange(client="binance", url=url(asked), timeout_seconds=5.0)
    with pytest.raises(ccxt.BadResponse):
        exchange.fetch_time()
    exchange.session.close()
    assert (len(asked.heard), other.heard) == (1, [])


@pytest.fixture
def calling(servers: tuple[Any, Any], settings: Any) -> Iterator[None]:
    settings.COUNTER_URL = url(servers[0])
    counter_client._local.__dict__.clear()
    yield
    counter_client._session().close()
    counter_client._local.__dict__.clear()


def test_counters_redirect_is_not_followed(servers, status, calling):
    asked, other = servers
    for call in (lambda: counter_client.acknowledge([1]), lambda: counter_client.pull(min_age_ms=0, limit=1)):
        with pytest.raises(counter_client.CounterRefused, match=str(status)):
            call()
    assert (len(asked.heard), other.heard) == (2, [])


def test_a_clients_redirect_is_no_placed_order(servers, status, monkeypatch):
    monkeypatch.setattr(crossbook.time, "sleep", lambda _: None)
    asked, other = servers
    client = crossbook.Client(url(asked), key="key", secret="secret")
    with pytest.raises(crossbook.OutcomeUnknown):
        client.open(client_order_id="c-1", symbol="BTC-X", contracts=1)
    assert other.heard == []


def test_proxies_and_passwords_of_the_environment_are_not_used(
    venue, servers, calling, monkeypatch, tmp_path
):
    asked, other = servers
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, url(other))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    _point_to(venue._exchange(), url(asked))
    assert submit(venue).filled_coin == Decimal("0.01")
    asked.says = (200, {}, b'{"events":[]}')
    assert counter_client.pull(min_age_ms=0, limit=1) == []
    assert (len(asked.heard), other.heard) == (2, [])
