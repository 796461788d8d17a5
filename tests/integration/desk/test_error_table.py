"""What each answer of a venue comes to, through real ccxt over real HTTP: from status and body to the verdict."""

import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from config.exchange import _point_to
from settlement import policy
from settlement.policy import Follow
from settlement.venues.protocol import VenueError
from tests.support.desk_bench import event, states, take_in

ASK, RETRY, HUMAN, TOP_UP = Follow.ASK, Follow.RETRY, Follow.HUMAN, Follow.TOP_UP


class Canned(BaseHTTPRequestHandler):
    """Answers every POST with what the test has put on its server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body, headers = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def canned(venue: Any) -> Iterator[Any]:
    """A server that answers as it is told; the venue's markets are known, so that only the order goes there."""
    exchange = venue._exchange()
    with ThreadingHTTPServer(("127.0.0.1", 0), Canned) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        _point_to(exchange, f"http://127.0.0.1:{server.server_address[1]}")
        yield server
        exchange.session.close()
        server.shutdown()
        thread.join()


def heard(venue: Any, canned: Any, status: int, body: bytes, **headers: str) -> VenueError:
    canned.answer = (status, body, headers)
    with pytest.raises(VenueError) as raised:
        venue.submit(
            underlying="BTC",
            client_order_id="xb1",
            side="buy",
            quantity=Decimal("0.01"),
            limit_price=Decimal("90000"),
            stamp=venue.stamp(),
        )
    assert raised.value.raw == body.decode("utf-8", "replace")
    return raised.value


def error(code: int, message: str = "no") -> bytes:
    return f'{{"code":{code},"msg":"{message}"}}'.encode()


ANSWERS = [
    (400, error(-2010, "Account has insufficient balance for requested action."), TOP_UP),
    (400, error(-2010, "Duplicate order sent."), ASK),
    (400, error(-1013, "Filter failure: LOT_SIZE"), HUMAN),
    (400, error(-1013, "Filter failure: PRICE_FILTER"), HUMAN),
    (400, error(-1013, "Filter failure: NOTIONAL"), HUMAN),
    (400, error(-1111, "Parameter has too much precision."), HUMAN),
    (400, error(-1121, "Invalid symbol."), HUMAN),
    (400, error(-1022, "Signature for this request is not valid."), HUMAN),
    (401, error(-2014, "API-key format invalid."), HUMAN),
    (400, error(-1021, "Timestamp for this request is outside of the recvWindow."), RETRY),
    (400, error(-1003, "Too many requests."), RETRY),
    (429, error(-1003, "Too much request weight used."), RETRY),
    (429, error(-1015, "Too many new orders."), RETRY),
    (418, error(-1003, "Way too much request weight used."), RETRY),
    (400, error(-1000), ASK),
    (400, error(-1006), ASK),
    (400, error(-1007), ASK),
    (400, error(-987654), ASK),
    (403, b"<html>", ASK),
    (404, b"<html>", ASK),
    (409, b"", ASK),
    (500, error(-1000), ASK),
    (500, error(-1013), ASK),
    (502, b"<html>bad gateway</html>", ASK),
    (503, error(-1008), ASK),
    (503, error(-1016, "This service is no longer available."), ASK),
    (503, error(-2010, "Account has insufficient balance for requested action."), ASK),
    (504, error(-1007), ASK),
    (520, b"", ASK),
    (200, b"", ASK),
    (200, b"{}", ASK),
    (200, b"[]", ASK),
    (200, b"null", ASK),
    (200, b'{"symbol":"BTCUSDT","orderId":1', ASK),
    (200, b'{"symbol":"BTCUSDT","orderId":1}', ASK),
    (200, b'{"symbol":"BTCUSDT","orderId":1,"clientOrderId":"another","status":"FILLED"}', ASK),
    (200, b"\xff\xfe", ASK),
]


@pytest.mark.parametrize(("status", "body", "follow"), ANSWERS)
def test_an_answer_comes_to_what_the_table_says(venue, canned, status, body, follow):
    told = heard(venue, canned, status, body)
    assert policy.judge(kind=told.kind, code=told.code).follow is follow, told


def test_what_the_venue_asks_to_wait_is_told_and_never_that_of_an_earlier_answer(venue, canned):
    answer = (429, error(-1003))
    assert heard(venue, canned, *answer, **{"Retry-After": "17"}).retry_after_seconds == 17
    assert heard(venue, canned, *answer, **{"Retry-After": "Wed, 21 Oct 2026"}).retry_after_seconds is None
    assert heard(venue, canned, *answer).retry_after_seconds is None
    heard(venue, canned, *answer, **{"Retry-After": "17"})
    canned.shutdown()
    canned.server_close()
    venue._exchange().session.close()
    with pytest.raises(VenueError, match="NotConnected") as raised:
        venue.submit(
            underlying="BTC",
            client_order_id="xb1",
            side="buy",
            quantity=Decimal("0.01"),
            limit_price=Decimal("90000"),
            stamp=venue.stamp(),
        )
    assert (raised.value.retry_after_seconds, raised.value.code, raised.value.raw) == (None, "", "")


@pytest.mark.django_db(transaction=True, databases=["desk"])
def test_a_client_id_that_the_venue_knows_already_is_looked_up_and_not_taken_for_a_refusal(desk):
    exchange = desk.venue.real._exchange()

    def occupy(client_order_id: str) -> None:
        exchange.create_order(
            "BTC/USDT", "limit", "buy", "0.01", "80000", {"newClientOrderId": client_order_id}
        )

    desk.venue.before_submit = occupy
    take_in(event())
    made = desk.convert()
    assert (made.state, made.reason[:18]) == ("UNKNOWN", "InvalidOrder -2010")

    desk.resume(after=3600)
    assert states() == ["UNKNOWN"]  # it is alive
    exchange.cancel_order(None, "BTC/USDT", {"origClientOrderId": made.client_order_id})
    desk.resume(after=7200)
    assert states() == ["MISSED"]
    assert desk.venue.submissions == [made.client_order_id]
