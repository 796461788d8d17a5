"""The web program as the stack starts it, with real clients: what it serves, and what clients cannot do to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psutil
import pytest
import requests
from django.conf import settings
from rest_framework.authtoken.models import Token

from counter.models import SyncOrder
from infra.http_server.lasting_sockets import STOP_SECONDS
from tests.support import ending
from tests.support.databases import held_account, locked_table, waiting_for_a_lock
from tests.support.factories import make_customer, make_option
from tests.support.web import SOON
from tools.embedded import valkey
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def customer():
    return make_customer()


@pytest.fixture
def http(customer):
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Token {Token.objects.create(user=customer.user).key}"
        yield session


def opening(number=1):
    return {"type": "open", "client_order_id": f"o-{number}", "symbol": make_option().symbol, "contracts": 1}


def batch_of(count):
    first = opening()
    return {"orders": [first | {"client_order_id": f"o-{number}"} for number in range(count)]}


# --- what it serves -------------------------------------------------------------------------------------------------


def test_orders_one_after_the_other_on_one_connection(web, http):
    ports = set()
    for number in range(5):
        answer = http.post(f"{web.url}/api/v1/orders", json=opening(number), stream=True)
        ports.add(answer.raw.connection.sock.getsockname())
        assert (answer.status_code, answer.json()["client_order_id"]) == (201, f"o-{number}")
    assert http.post(f"{web.url}/api/v1/orders", json=opening(3)).headers["Idempotent-Replayed"] == "true"
    assert len(http.get(f"{web.url}/api/v1/orders").json()["results"]) == 5
    assert len(ports) == 1


def test_a_batch_of_a_thousand(web, http):
    results = http.post(f"{web.url}/api/v1/orders/batch", json=batch_of(1000)).json()["results"]
    assert {result["status"] for result in results} == {201}
    assert [result["order"]["client_order_id"] for result in results] == [f"o-{n}" for n in range(1000)]
    assert SyncOrder.objects.count() == 1000


def test_an_order_in_chunks(web, http):
    raw = json.dumps(opening()).encode()
    answer = http.post(
        f"{web.url}/api/v1/orders",
        data=iter([raw[:10], raw[10:]]),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_an_order_whose_body_comes_later_than_its_headers(web, http, content_type):
    raw = request_of(http, opening(), content_type)
    with socket.create_connection(("127.0.0.1", web.port), timeout=SOON) as client:
        client.sendall(raw[:-20])
        time.sleep(0.2)  # long enough for the program to have asked for more
        client.sendall(raw[-20:])
        assert client.recv(1000).startswith(b"HTTP/1.1 201")


def test_a_large_body_that_waits_for_100_continue(web, http):
    body = json.dumps(batch_of(1000)).encode().ljust(2_000_000)
    done = subprocess.run(
        [
            *(
                "curl",
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--max-time",
                "15",
                "--data-binary",
                "@-",
            ),
            *("--header", "Expect: 100-continue", "--header", "Content-Type: application/json"),
            *("--header", f"Authorization: {http.headers['Authorization']}"),
            *("--expect100-timeout", "60", "--dump-header", "-", f"{web.url}/api/v1/orders/batch"),
        ],
        input=body,
        capture_output=True,
        check=True,
    )
    interim, final, answered = done.stdout.split(b"\r\n\r\n", 2)
    assert interim.startswith(b"HTTP/1.1 100")
    assert final.startswith(b"HTTP/1.1 200")
    assert len(json.loads(answered)["results"]) == 1000


def test_what_is_too_long_or_of_strangers_is_refused(web, http):
    too_long = http.post(
        f"{web.url}/api/v1/orders", data=b" " * 3_000_000, headers={"Content-Type": "application/json"}
    )
    assert (too_long.status_code, too_long.json()["error"]["code"]) == (413, "body_too_large")
    stranger = http.post(f"{web.url}/api/v1/orders", json={}, headers={"Authorization": "Token x"})
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "authentication_failed")


def test_the_schema(web, http):
    schema = http.get(f"{web.url}/api/schema", headers={"Accept": "application/json"}).json()
    assert "/api/v1/orders" in schema["paths"]


# --- clients that go ------------------------------------------------------------------------------------------------


def request_of(http, order, content_type="application/json"):
    raw = json.dumps(order).encode()
    head = (
        "POST /api/v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Authorization: {http.headers['Authorization']}\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


def test_a_client_that_goes_while_its_order_is_committed_does_no_harm(web, http, customer):
    order = opening()
    with held_account(customer.pk), socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(request_of(http, order))
        assert wait_until(waiting_for_a_lock, within_seconds=SOON)
        client.close()
    assert wait_until(SyncOrder.objects.exists, within_seconds=SOON)
    assert http.post(f"{web.url}/api/v1/orders", json=order).headers["Idempotent-Replayed"] == "true"
    assert "error" not in web.log.lower(), web.log
    assert "Traceback" not in web.log


def test_clients_that_go_while_they_send_place_nothing(web, http):
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", web.port)) as client:
            client.sendall(request_of(http, opening())[:-5])
    assert http.post(f"{web.url}/api/v1/orders", json=opening(2)).status_code == 201
    assert SyncOrder.objects.count() == 1
    assert "Traceback" not in web.log


def test_clients_that_go_in_the_middle_of_a_download_take_no_thread_along(web):
    for _ in range(12):  # more than it has threads
        with socket.create_connection(("127.0.0.1", web.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"GET /static/unfold/css/styles.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b"200 OK" in client.recv(200)
    assert wait_until(web.answers, within_seconds=SOON), web.log[-3000:]


def test_clients_that_are_slow_to_send_hold_no_thread(web, http):
    with ExitStack() as slow:
        for _ in range(12):  # more than it has threads
            client = slow.enter_context(socket.create_connection(("127.0.0.1", web.port)))
            client.sendall(request_of(http, opening(), "application/json; charset=utf-8")[:-5])
        assert not wait_until(lambda: not web.answers(), within_seconds=1)
        assert http.post(f"{web.url}/api/v1/orders", json=opening()).status_code == 201


# --- a database that hangs ------------------------------------------------------------------------------------------


def test_requests_that_wait_for_the_database_hold_up_neither_health_nor_orders(programs, http, customer):
    web = programs.web(WEB_STATEMENT_SECONDS="1", WEB_PROCESSES="1")
    assert http.post(f"{web.url}/api/v1/orders", json=opening()).status_code == 201
    with locked_table("django_session"), ThreadPoolExecutor(24) as pool:
        waiting = [pool.submit(ask_with_a_session, web) for _ in range(24)]  # more than it has threads
        assert wait_until(lambda: len(waiting_for_a_lock()) >= 8, within_seconds=SOON)
        for number in range(2, 6):
            assert web.answers()
            answer = http.post(f"{web.url}/api/v1/orders", json=opening(number), timeout=SOON)
            assert answer.status_code == 201
        answers = [each.result(3 * SOON) for each in waiting]
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} <= {
        *((503, "unavailable"), (503, "overloaded")),
    }
    assert wait_until(lambda: ask_with_a_session(web).status_code == 401, within_seconds=SOON)


def ask_with_a_session(web):
    return requests.get(f"{web.url}/api/v1/accounts", cookies={"sessionid": "x" * 32}, timeout=3 * SOON)


# --- ending ---------------------------------------------------------------------------------------------------------


def test_an_order_that_waits_when_the_program_is_asked_to_end_is_answered(programs, http, customer):
    web = programs.web(WEB_STATEMENT_SECONDS="1", WEB_PROCESSES="1")
    with ThreadPoolExecutor(1) as pool:
        with held_account(customer.pk):
            asked = pool.submit(http.post, f"{web.url}/api/v1/orders", json=opening(), timeout=SOON)
            assert wait_until(waiting_for_a_lock, within_seconds=SOON)
            web.process.send_signal(signal.SIGTERM)
            # Shorter than an account may be held up, and than the process retires.
            assert not wait_until(lambda: asked.done() or web.process.poll() is not None, within_seconds=0.1)
        assert asked.result(SOON).status_code == 201, web.log
    assert web.process.wait(timeout=SOON) == 0, web.log
    assert SyncOrder.objects.count() == 1


def test_told_to_end_while_its_processes_load_it_ends_at_once():
    command = [sys.executable, "-m", "config.web", "--port", str(valkey.free_port())]
    environment = {**os.environ, "WEB_PROCESSES": "2"}
    program = subprocess.Popen(command, cwd=settings.BASE_DIR, stderr=subprocess.DEVNULL, env=environment)
    assert wait_until(lambda: len(psutil.Process(program.pid).children()) == 2, within_seconds=SOON)
    assert ending.end(program, within_seconds=STOP_SECONDS - 2) == 0


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_processes_serve_as_the_environment_says(programs, http, customer, count):
    web = programs.web(WEB_PROCESSES=str(count))
    assert len(web.serving) == count
    assert http.post(f"{web.url}/api/v1/orders", json=opening(), timeout=SOON).status_code == 201, web.log
    web.stop()  # no other test wants so many


@pytest.mark.parametrize("given", ["0", "two", "-1", "1.5"])
def test_a_number_of_processes_that_is_none_is_told_in_one_line(given):
    command = [sys.executable, "-m", "config.web", "--port", "9"]
    ended = subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env={**os.environ, "WEB_PROCESSES": given},
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == f"not started: WEB_PROCESSES is {given!r}, and has to be a whole number from 1\n"
