"""What became of a request is told apart: refused, silent, or answered."""

import json
import socket
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.demo.sent import Sent
from tools.load import customers as loads
from tools.load.customers import Load, code_of
from tools.load.heard import Answered


@pytest.fixture
def server(monkeypatch):
    """A port that can be closed, or take connections and say nothing; and who orders there, once."""
    monkeypatch.setattr(loads, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(loads, "PATIENCE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        made = Load(url=url, tokens=["token"], symbols=["X"], orders=1, seconds=1, run_id="run", seed=1)
        yield listening, made


def answered(load):
    load.send("token", [{"type": "open", "client_order_id": load.next_id(), "symbol": "X", "contracts": 1}])
    return [each.answered for each in load.heard.asked]


def test_a_server_that_says_nothing_is_a_time_out(server):
    _, load = server
    assert answered(load) == [Answered.TIMED_OUT]
    assert load.heard.without_outcome == {"run-1"}


def test_a_server_that_is_not_there_is_a_lost_connection(server):
    listening, load = server
    listening.close()
    assert answered(load) == [Answered.CONNECTION_LOST]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"error": {"code": "desk_behind", "message": "later"}}', "503 desk_behind"),
        (b"<html>Bad gateway</html>", "503"),
        (b"[]", "503"),
        (b'{"error": "later"}', "503"),
    ],
)
def test_a_5xx_is_told_by_its_status_and_the_stable_code_in_its_body(body, told):
    assert code_of(503, body) == told


class Counter(BaseHTTPRequestHandler):
    """Accepts every order of the rich and refuses the poor; notes who sent what."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        token = self.headers["Authorization"].removeprefix("Token ")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        single = "orders" not in body
        results = [self.result(token, order) for order in ([body] if single else body["orders"])]
        refused = "error" in results[0]
        self.answer(
            400 if single and refused else 201, results[0] if single else {"results": results}, single
        )

    def result(self, token, order):
        self.server.sent.append((token, order))
        if token == "poor":
            return {"error": {"code": "insufficient_balance"}}
        return {"order": {"id": len(self.server.sent)}}

    def answer(self, status, content, single):
        body = json.dumps(content.get("order", content) if single else content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def counter():
    with ThreadingHTTPServer(("127.0.0.1", 0), Counter) as server:
        server.sent, server.daemon_threads = [], True
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("batch_share", [0.0, 1.0])
def test_customers_open_and_close_what_they_hold_and_the_poor_are_refused(counter, batch_share):
    sent = Sent(paupers=frozenset(["poor"]))
    load = Load(
        url=f"http://127.0.0.1:{counter.server_address[1]}",
        tokens=["rich", "richer", "poor"],
        symbols=["X", "Y"],
        orders=220,
        seconds=0.5,
        run_id="run",
        seed=1,
        batch_share=batch_share,
        heard=sent,
    )
    load.run()
    assert sent.submitted == len(counter.sent) >= 100
    assert len({order["client_order_id"] for _, order in counter.sent}) == len(counter.sent)
    assert (len(sent.without_outcome), sent.repeated, sent.contradicted) == (0, 0, [])
    assert sent.refused_as_planned == sent.refused.total() == sum(who == "poor" for who, _ in counter.sent)
    assert len(sent.accepted) == sent.submitted - sent.refused_as_planned
    held = defaultdict(int)
    for who, order in counter.sent:
        if order["type"] == "open":
            held[who, order["client_order_id"]] = order["contracts"]
    closes = [(who, order) for who, order in counter.sent if order["type"] == "close"]
    for who, order in closes:
        held[who, order["opened_by"]] -= order["contracts"]
    assert closes
    assert all(left >= 0 for left in held.values())
    assert all(who != "poor" for who, _ in closes)
