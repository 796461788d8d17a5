"""What integrators start from, against the running web program of two processes: the client, and curl with openssl."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.utils import timezone

from counter.access import api_keys
from counter.models import Customer, SyncOrder
from examples.python import crossbook_client as crossbook
from tests.support import databases
from tests.support.api_keys import SigningCaller
from tests.support.factories import make_customer, make_option
from tests.support.public_ids import row

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TOGETHER = 24


@pytest.fixture
def web(transactional_db, programs):
    """Both programs, shared by these tests: the web program sends listeners on."""
    keys = {"SECRET_KEY": settings.SECRET_KEY}
    started = programs.web(STREAM_URL=programs.stream(**keys).url, REQUESTS_AT_ONCE="50", **keys)
    yield started
    assert "Traceback" not in started.log


@pytest.fixture
def signer(web):
    return SigningCaller(make_customer(balance="10000"))


@pytest.fixture
def client(web, signer):
    return crossbook.Client(web.url, key=signer.key.public_id, secret=signer.secret)


def test_the_client_opens_reads_and_closes(client, signer):
    option = make_option()
    assert [each.symbol for each in client.instruments(underlying="BTC")] == [option.symbol]
    [quote] = client.quotes(symbol=option.symbol)
    firm = client.firm_quote(symbol=option.symbol, contracts=2)
    assert firm.cost == 2 * quote.cost
    opened = client.open(client_order_id="c-1", symbol=option.symbol, contracts=2, quote_id=firm.quote_id)
    assert (opened.cost, opened.contracts) == (firm.cost, 2)
    again = client.open(client_order_id="c-1", symbol=option.symbol, contracts=2, quote_id=firm.quote_id)
    assert again == opened
    assert client.balance() == Decimal(10000) - firm.cost
    [position] = client.positions(state="open")
    assert (position.id, position.remaining, position.cost) == (opened.position_id, 2, opened.cost)
    closed = client.close(client_order_id="c-2", opened_by="c-1", contracts=1, min_proceeds=Decimal("0.01"))
    assert client.find_order("c-2").id == closed.id
    assert client.find_order("c-3") is None
    assert client.order(opened.id).state == "pending"
    at_fill = client.close(client_order_id="c-3", position_id=position.id, payout="at_fill")
    assert at_fill.proceeds is None
    assert [order.client_order_id for order in client.orders()] == ["c-3", "c-2", "c-1"]
    entries = list(client.ledger())
    assert [entry.kind for entry in entries] == ["close", "spread", "open", "deposit"]
    assert entries[0].balance_after == client.balance()
    with pytest.raises(crossbook.CrossbookError) as refused:
        client.open(client_order_id="c-4", symbol=option.symbol, contracts=1, max_cost=Decimal("0.01"))
    assert (refused.value.status, refused.value.code, refused.value.left) == (409, "price_moved", None)
    with pytest.raises(crossbook.CrossbookError) as refused:
        client.open(client_order_id="c-5", symbol=option.symbol, contracts=10_000)
    assert (refused.value.code, refused.value.left) == ("insufficient_balance", client.balance())


def test_the_client_reads_page_after_page(client, monkeypatch):
    option = make_option()
    for number in range(5):
        client.open(client_order_id=f"p-{number}", symbol=option.symbol, contracts=1)
    asked = client._get
    monkeypatch.setattr(client, "_get", lambda path, **query: asked(path, limit=2, **query))
    orders = list(client.orders())
    assert [order.client_order_id for order in orders] == [f"p-{n}" for n in (4, 3, 2, 1, 0)]
    later = orders[1].placed_at
    assert [order.client_order_id for order in client.orders(begin=later)] == ["p-4", "p-3"]
    assert [order.client_order_id for order in client.orders(end=later)] == ["p-2", "p-1", "p-0"]
    assert [position.id for position in client.positions(begin=later)] == [
        order.position_id for order in orders[:2]
    ]
    assert {entry.order_id for entry in client.ledger(begin=later)} == {order.id for order in orders[:2]}


def test_the_client_sends_again_what_had_no_answer_and_it_is_one_order(client, monkeypatch):
    option, lost = make_option(), []
    send = client._http.send

    def lose_the_first_answer(request, **options):
        answer = send(request, **options)
        lost.append(answer.status_code)
        if len(lost) == 1:
            raise requests.ReadTimeout("lost")
        return answer

    monkeypatch.setattr(client._http, "send", lose_the_first_answer)
    client.open(client_order_id="r-1", symbol=option.symbol, contracts=1)
    assert lost == [201, 201]
    assert SyncOrder.objects.count() == 1


def test_the_client_finds_the_order_of_an_earlier_attempt_when_a_later_one_is_refused(client, monkeypatch):
    """The first attempt waits in the server while the client gives up, and is placed after the second is refused."""
    option, sent = make_option(), []
    send = client._http.send

    def lose_and_refuse(request, **options):
        if request.method == "GET":
            return send(request, **options)
        sent.append(request)
        if len(sent) == 1:
            raise requests.ReadTimeout("lost")
        refused = requests.Response()
        refused.status_code = 409
        error = {"code": "coin_halted", "message": "no", "final": False, "final_after_ms": 300}
        refused._content = json.dumps({"error": error}).encode()
        threading.Timer(0.1, send, [sent[0]], {"timeout": 20}).start()
        return refused

    monkeypatch.setattr(client._http, "send", lose_and_refuse)
    order = client.open(client_order_id="r-2", symbol=option.symbol, contracts=1)
    assert row(order.id) == SyncOrder.objects.get().pk


@pytest.mark.timed
def test_a_refusal_of_the_only_attempt_is_told_at_once(client):
    option = make_option()
    started = time.monotonic()
    with pytest.raises(crossbook.CrossbookError) as refused:
        client.open(client_order_id="r-3", symbol=option.symbol, contracts=1, max_cost=Decimal("0.01"))
    assert time.monotonic() - started < 1
    assert refused.value.final_after_ms == 1000 * settings.ORDER_WITHIN_SECONDS


def test_the_client_goes_by_the_servers_clock(client):
    client._signed.clock_ahead_seconds = -3600
    assert client.balance() == Decimal(10000)
    assert abs(client._signed.clock_ahead_seconds) < 30
    assert abs(client.server_time() - timezone.now()) < timedelta(seconds=30)
    client._signed.clock_ahead_seconds = -3600
    assert next(client.events()).name == "snapshot"


def test_a_request_that_comes_too_late_more_than_once_is_signed_anew(client, monkeypatch):
    """As one that waits for a process which is being replaced."""
    client._signed.clock_ahead_seconds = -3600
    go_by, late = client._signed.go_by, [True]
    monkeypatch.setattr(client._signed, "go_by", lambda now: late.pop() if late else go_by(now))
    assert client.balance() == Decimal(10000)
    assert not late


def test_curl_and_openssl_place_the_same_order(web, signer):
    option = make_option()
    environment = {
        **os.environ,
        "CROSSBOOK_URL": web.url,
        "CROSSBOOK_KEY": signer.key.public_id,
        "CROSSBOOK_SECRET": signer.secret,
    }

    def place(*arguments):
        command = [str(EXAMPLES / "place_order.sh"), option.symbol, "2", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    done = place("by-curl", "100")
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["client_order_id"] == "by-curl"
    assert place("by-curl", "0.01").returncode == 22  # the id with other content
    assert SyncOrder.objects.get().contracts == 2
    assert signer.secret not in web.log


def test_the_client_hears_its_own_order_and_comes_again(web, monkeypatch):
    signer, option = SigningCaller(make_customer(balance="10000")), make_option()
    client = crossbook.Client(web.url, key=signer.key.public_id, secret=signer.secret)
    listener = crossbook.Client(web.url, key=signer.key.public_id, secret=signer.secret)
    events = listener.events()
    assert next(events).data["balance"]["balance"] == "10000.000000"
    order = client.open(client_order_id="s-1", symbol=option.symbol, contracts=1)
    heard = next(event for event in events if event.name == "order")
    assert (heard.data["id"], heard.data["client_order_id"]) == (order.id, "s-1")
    losses, read = [requests.ConnectionError("lost")], crossbook._events

    def lost_once(lines):
        while losses:
            raise losses.pop()
        yield from read(lines)

    monkeypatch.setattr(crossbook, "_events", lost_once)
    again = listener.events()
    assert next(again).name == "snapshot"
    api_keys.revoke(signer.key, now=timezone.now())
    assert [event.data["code"] for event in again if event.name == "end"] == ["revoked"]


def all_at_once(ask):
    """What so many threads get, each over a connection of its own: both processes are asked."""
    answers, start = [], threading.Barrier(TOGETHER)

    def one():
        start.wait(30)
        answers.append(ask().status_code)

    threads = [threading.Thread(target=one) for _ in range(TOGETHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return Counter(answers)


def test_a_copied_request_is_taken_once_by_all_processes(web, signer):
    body = json.dumps(
        {"type": "open", "client_order_id": "o", "symbol": make_option().symbol, "contracts": 1}
    ).encode()
    headers = signer.headers("POST", "/api/v1/orders", body, recv_window=60_000) | {
        "Content-Type": "application/json"
    }
    answers = all_at_once(
        lambda: requests.post(f"{web.url}/api/v1/orders", body, headers=headers, timeout=60)
    )
    assert answers == {201: 1, 401: TOGETHER - 1}


def test_a_keys_limit_holds_over_all_processes(web):
    signer = SigningCaller(make_customer(), requests_per_second=5)
    path = "/api/v1/accounts"

    def ask():
        headers = signer.headers("GET", path, recv_window=60_000)
        return requests.get(f"{web.url}{path}", headers=headers, timeout=60)

    answers = all_at_once(ask)
    # Five at once, and what came back while the machine was busy with the others.
    assert answers[200] + answers[429] == TOGETHER
    assert 5 <= answers[200] < TOGETHER / 2
    assert Customer.objects.count() == 1


def test_the_first_order_of_the_readme_is_placed_as_it_says(web):
    make_option()
    section = re.search(
        r"^## A first order\n(.*?)^## ", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    lines = re.findall(r"^    (.*)$", section[1], re.MULTILINE)
    assert len(lines) == 6
    script = (
        "\n".join(lines).replace("http://127.0.0.1:8000", web.url).replace(".venv/bin/python", sys.executable)
    )
    keys = {name: getattr(settings, name) for name in ("SECRET_KEY", "WALLET_KEY", "API_KEYS_SECRET")}
    environment = {**os.environ, **databases.environment(), **keys}
    done = subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    placed_line, placed_status, found_line, found_status = done.stdout.splitlines()
    assert (placed_status, found_status) == ("201", "200")
    placed = json.loads(placed_line)
    [found] = json.loads(found_line)["results"]
    assert (placed["client_order_id"], placed["contracts"]) == ("a-1", 2)
    assert found["id"] == placed["id"]
