"""No key and no signature is stored or logged, repeated by ccxt in its messages or by the venue in answers."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core import serializers

from infra.exchange.client import _point_to
from settlement.models import Attempt, Conversion, FundsTransfer, StateChange, VenueHalt
from settlement.venues.protocol import VenueError
from tests.integration.desk.test_treasury import transfer
from tests.support.desk_bench import event, take_in

SIGNATURE = re.compile(r"signature\W+[0-9a-f]{16}", re.IGNORECASE)
KEY, SECRET = "K3yThatNobodyMaySee", "S3cretThatNobodyMaySee"
FAULTS = {
    "lost": {"kind": "request_lost"},
    "late": {"kind": "reply_delay", "delay_ms": 700},
    "closed": {"kind": "maintenance"},
    "refused": {"kind": "error_before", "status": 400, "code": -987654},
    "cut": {"kind": "cut_body"},
}


@pytest.mark.django_db(transaction=True, databases=["desk"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_nothing_that_goes_wrong_stores_or_logs_a_key_or_a_signature(
    desk, venue_account, caplog, capfd, fault
):
    caplog.set_level(logging.DEBUG, logger="settlement")
    desk.venue.real._exchange().timeout = 500
    desk.paper.add_fault("reply_lost", path="/api/v3/order$", method="POST", count=1)
    desk.paper.add_fault("reply_lost", path="/sapi/v1/asset/transfer", method="POST", count=1)
    desk.paper.add_fault(**fault, path="/(api/v3/(order|account|myTrades)|sapi)")
    take_in(event())
    desk.convert()
    transfer(desk)
    for step in range(1, 5):
        desk.resume(after=400 * step)
    _, key, secret = venue_account
    written = everything_stored() + caplog.text + "".join(capfd.readouterr())
    assert "venue call failed" in written
    assert key not in re.findall(r"key\d+", written)
    assert secret not in re.findall(r"secret\d+", written)
    assert not SIGNATURE.search(written)


def everything_stored() -> str:
    return "".join(
        serializers.serialize("json", model.objects.all())
        for model in (Attempt, StateChange, Conversion, FundsTransfer, VenueHalt)
    )


class Echo(BaseHTTPRequestHandler):
    """Answers with all that it was sent, as an error or as an order that has been filled with it."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        sent = {"path": self.path, "headers": dict(self.headers), "body": body, "keys": [KEY, SECRET]}
        code = {} if self.server.status == 200 else {"code": -1102}  # type: ignore[attr-defined]
        answer = json.dumps({**code, "msg": json.dumps(sent), **sent}).encode()
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def echo(venue: Any) -> Iterator[Any]:
    exchange = venue._exchange()
    exchange.apiKey, exchange.secret = KEY, SECRET
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        _point_to(exchange, f"http://127.0.0.1:{server.server_address[1]}")
        yield server
        exchange.session.close()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [200, 400, 401, 418, 503])
@pytest.mark.parametrize("call", ["submit", "find"])
def test_a_venue_that_repeats_what_it_was_sent_is_heard_without_keys(venue, echo, status, call):
    echo.status = status
    order = {"underlying": "BTC", "client_order_id": "xb1"}
    terms = {"side": "buy", "quantity": Decimal("0.01"), "limit_price": Decimal(90_000), "stamp": 1}
    with pytest.raises(VenueError) as raised:
        venue.submit(**order, **terms) if call == "submit" else venue.find(**order)
    error = raised.value
    assert "xb1" in error.raw
    for text in (error.raw, str(error)):
        assert KEY not in text
        assert SECRET not in text
        assert not SIGNATURE.search(text)
