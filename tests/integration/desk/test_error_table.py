"""What each answer of a venue comes to, through real ccxt over real HTTP: from status and body to the verdict."""

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.exchange.client import _point_to, new_exchange
from infra.exchange.host_breaker import Breaker
from settlement.venues import error_table
from settlement.venues.ccxt_errors import heard as listening
from settlement.venues.ccxt_errors import noting_answers
from settlement.venues.error_table import Answer, Follow, Outcome
from settlement.venues.failures import answer_of
from settlement.venues.protocol import VenueError
from tests.support.desk_bench import event, states, take_in

ASK, HUMAN, TOP_UP, HALT, REPLAN = Follow.ASK, Follow.HUMAN, Follow.TOP_UP, Follow.HALT, Follow.REPLAN
AT_ONCE, LATER = Follow.RETRY_AT_ONCE, Follow.RETRY_LATER


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


def let_through(canned: Any) -> None:
    """Forget all refusals of this address that it has answered before."""
    Breaker(f"http://127.0.0.1:{canned.server_address[1]}").forget()


def heard(venue: Any, canned: Any, status: int, body: bytes, **headers: str) -> VenueError:
    canned.answer = (status, body, headers)
    let_through(canned)
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
    (400, error(-1013, "Filter failure: LOT_SIZE"), REPLAN),
    (400, error(-1013, "Filter failure: PRICE_FILTER"), REPLAN),
    (400, error(-1013, "Filter failure: NOTIONAL"), REPLAN),
    (400, error(-1013, "Market is closed."), HALT),
    (400, error(-1111, "Parameter has too much precision."), REPLAN),
    (400, error(-1121, "Invalid symbol."), HALT),
    (401, error(-1002, "You are not authorized to execute this request."), HALT),
    (400, error(-2010, "Market is closed."), HALT),
    (400, error(-2010, "This symbol is not permitted for this account."), HALT),
    (400, error(-2010, "This symbol is restricted for this account."), HALT),
    (400, error(-2010, "This action is disabled on this account."), HALT),
    (400, error(-2010, "Rest API trading is not enabled."), HALT),
    (400, error(-2010, "Words that nobody has listed."), HUMAN),
    (400, error(-1102, "Mandatory parameter was not sent."), HUMAN),
    (451, error(0, "Service unavailable from a restricted location"), HALT),
    (451, b"", HALT),
    (400, error(-1022, "Signature for this request is not valid."), HALT),
    (401, error(-2014, "API-key format invalid."), HALT),
    (401, error(-2015, "Invalid API-key, IP, or permissions for action."), HALT),
    (400, error(-2010, "This account may not place or cancel orders."), HALT),
    (400, error(-1021, "Timestamp for this request is outside of the recvWindow."), AT_ONCE),
    (400, error(-1003, "Too many requests."), LATER),
    (429, error(-1003, "Too much request weight used."), LATER),
    (429, error(-1015, "Too many new orders."), LATER),
    (418, error(-1003, "Way too much request weight used."), HALT),
    (400, error(-1016, "This service is no longer available."), HALT),
    (400, error(-1000), ASK),
    (400, error(-1006), ASK),
    (400, error(-1007), ASK),
    (400, error(-987654), HUMAN),
    (422, error(-987654), HUMAN),
    (400, b"<html>", ASK),
    (400, b"{}", ASK),
    (403, b"<html>", HALT),
    (403, b"", HALT),
    (403, error(-2015), HALT),
    (404, b"<html>", ASK),
    (409, b"", ASK),
    (409, error(-2021), ASK),
    (500, error(-1000), ASK),
    (500, error(-1013), ASK),
    (502, b"<html>bad gateway</html>", ASK),
    (503, error(-1008), ASK),
    (503, error(-1016, "This service is no longer available."), HALT),
    (503, error(-2015, "Invalid API-key, IP, or permissions for action."), ASK),
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
    assert told.status == status
    verdict = error_table.TABLE.judge(answer_of(told, venue="binance", to_question=False))
    assert verdict.follow is follow, told
    # Nothing but a refusal in so many words is a no.
    assert (verdict.outcome is Outcome.NOT_DONE) <= (status in range(400, 500) and body.endswith(b"}"))
    assert status not in (451,) or verdict.outcome is Outcome.UNKNOWN


def okx(code: str, order_code: str | None = None) -> bytes:
    orders = [] if order_code is None else [{"clOrdId": "xb1", "ordId": "", "sCode": order_code, "sMsg": ""}]
    return json.dumps({"code": code, "data": orders, "msg": ""}).encode()


def bybit(code: int, message: str = "no") -> bytes:
    return json.dumps({"retCode": code, "retMsg": message, "result": {}}).encode()


OTHERS = [
    ("okx", 200, okx("1", "51008"), "51008", TOP_UP),
    ("okx", 200, okx("1", "51016"), "51016", ASK),
    ("okx", 200, okx("1", "51121"), "51121", HUMAN),
    ("okx", 200, okx("1", "59999"), "59999", ASK),  # unlisted: no status says that it was refused
    ("okx", 400, okx("50004"), "50004", ASK),
    ("okx", 400, okx("59999"), "59999", HUMAN),
    ("okx", 401, okx("50113"), "50113", HALT),
    ("okx", 401, okx("50102"), "50102", AT_ONCE),
    ("okx", 429, okx("50011"), "50011", LATER),
    ("okx", 503, okx("50001"), "50001", HALT),
    ("okx", 503, okx("1", "51008"), "51008", ASK),
    ("bybit", 200, bybit(170146), "170146", ASK),
    ("bybit", 200, bybit(170141), "170141", ASK),
    ("bybit", 200, bybit(170131), "170131", TOP_UP),
    ("bybit", 200, bybit(10000, "Server Timeout"), "10000", ASK),
    ("bybit", 200, bybit(10002), "10002", AT_ONCE),
    ("bybit", 200, bybit(10003), "10003", HALT),
    ("bybit", 200, bybit(179999), "179999", ASK),
    ("bybit", 502, bybit(170131), "170131", ASK),
]
SENT_TO = {"okx": "privatePostTradeOrder", "bybit": "privatePostV5OrderCreate"}


@pytest.mark.parametrize(("client", "status", "body", "code", "follow"), OTHERS)
def test_codes_of_other_venues_are_found_where_they_say_them(canned, client, status, body, code, follow):
    exchange = new_exchange(
        client=client,
        url=f"http://127.0.0.1:{canned.server_address[1]}",
        timeout_seconds=3.0,
        apiKey="key",
        secret="secret",
        password="password",
    )
    exchange.on_rest_response = noting_answers(exchange)
    canned.answer = (status, body, {})
    with pytest.raises(VenueError) as raised, listening(exchange):
        getattr(exchange, SENT_TO[client])({"symbol": "BTC-USDT"})
    exchange.session.close()
    told = raised.value
    assert (told.code, told.status) == (code, status)
    verdict = error_table.TABLE.judge(Answer(client, told.kind, told.code, told.status))
    assert verdict.follow is follow, told


def test_what_the_venue_asks_to_wait_is_told_and_never_that_of_an_earlier_answer(venue, canned):
    answer = (429, error(-1003))
    assert heard(venue, canned, *answer, **{"Retry-After": "17"}).retry_after_seconds == 17
    assert heard(venue, canned, *answer, **{"Retry-After": "Wed, 21 Oct 2026"}).retry_after_seconds is None
    assert heard(venue, canned, *answer).retry_after_seconds is None
    heard(venue, canned, *answer, **{"Retry-After": "17"})
    let_through(canned)
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
