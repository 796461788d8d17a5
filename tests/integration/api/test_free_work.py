"""What costs us and not them: refused orders, wrong credentials, guessed passwords, bodies without an end."""

import asyncio
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password, make_password
from django.db import connections
from django.test import Client

from counter.access import failed_credentials
from counter.api import logins
from counter.api.orders import refusals
from counter.models import SyncOrder
from infra.http_server import bodies, password_hashing
from tests.support.api import error_of
from tests.support.asgi import AsgiClient

PER_SECOND = 2
AT_ONCE = PER_SECOND * 10  # CUSTOMER_BURST_SECONDS


@pytest.fixture(autouse=True)
def slow_customers(settings):
    settings.CUSTOMER_ORDERS_PER_S = PER_SECOND
    yield
    refusals._due_at.clear()


def order_of(option, name, **changes):
    return {"type": "open", "client_order_id": name, "symbol": option.symbol, "contracts": 1} | changes


@pytest.mark.parametrize("door", ["fast_path", "framework"])
@pytest.mark.parametrize("kind", ["refused", "unreadable"])
def test_refused_orders_cost_the_customers_rate_and_nobody_elses(new_caller, option, door, kind):
    eager, calm = new_caller(door=door), new_caller(door=door)
    bad = {"max_cost": "0.01"} if kind == "refused" else {"contracts": "many"}
    answers = [eager.post("orders", order_of(option, "a", **bad)) for _ in range(AT_ONCE + 15)]
    codes = [answer.json()["error"]["code"] for answer in answers]
    expected = "price_moved" if kind == "refused" else "invalid_request"
    assert codes[: AT_ONCE - 1] == [expected] * (AT_ONCE - 1)
    assert error_of(answers[-1], 429)["code"] == "too_many_orders"
    assert answers[-1]["Retry-After"] == "1"
    assert calm.post("orders", order_of(option, "b")).status_code == 201
    assert eager.get("orders").status_code == 200
    time.sleep(2)
    assert eager.post("orders", order_of(option, "b")).status_code == 201


@pytest.mark.parametrize("door", ["fast_path", "framework"])
def test_what_cannot_be_read_costs_by_its_length(new_caller, option, door):
    eager = new_caller(door=door)
    for long in ('{"orders":[' + '{"type":"x"},' * 10_000 + "{}]}", "[" * 100_000):
        refusals._due_at.clear()
        path = "/api/v1/orders/batch"
        client = AsgiClient(headers={"Authorization": f"Token {eager.token}"})
        if door == "framework":
            client.headers["Accept"] = "application/json, */*"
        first = client.post(path, long)
        assert first.status_code in (400, 413)
        assert client.post(path, long).status_code == 429
    assert eager.get("orders").status_code == 200


def test_refusals_of_a_batch_count_each_and_accepted_orders_make_up_for_them(new_caller, option):
    trading, failing = new_caller("10000", door="fast_path"), new_caller(door="fast_path")
    refused = [order_of(option, f"r-{number}", max_cost="0.01") for number in range(AT_ONCE + 10)]
    assert failing.post("orders/batch", {"orders": refused}).status_code == 200
    assert failing.post("orders/batch", {"orders": refused[:1]}).status_code == 429
    placed = [order_of(option, f"p-{number}") for number in range(AT_ONCE)]
    assert trading.post("orders/batch", {"orders": placed + refused}).status_code == 200
    assert SyncOrder.objects.count() == AT_ONCE
    assert trading.post("orders/batch", {"orders": refused[:1]}).status_code == 200


@pytest.mark.timed
@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Token 0123456789012345678901234567890123456789"}, {"X-API-Key": "cbk_wrong"}],
    ids=["token", "key"],
)
def test_guessed_credentials_are_answered_slowly_and_right_ones_of_the_same_address_at_once(
    new_caller, option, headers, monkeypatch
):
    monkeypatch.setattr(failed_credentials, "AT_ONCE", 5)
    monkeypatch.setattr(failed_credentials, "EVERY_SECONDS", 60.0)
    monkeypatch.setattr(failed_credentials, "HELD_BACK_SECONDS", 0.7)
    guessing = AsgiClient(headers=headers, peer="192.0.2.7")
    body = json.dumps(order_of(option, "a"))

    def seconds(client):
        started = time.monotonic()
        return client.post("/api/v1/orders", body).status_code, time.monotonic() - started

    assert [seconds(guessing)[0] for _ in range(6)] == [401] * 6
    status, took = seconds(guessing)
    assert (status, took > 0.7) == (401, True)
    right = AsgiClient(headers={"Authorization": f"Token {new_caller().token}"}, peer="192.0.2.7")
    status, took = seconds(right)
    assert (status, took < 0.7) == (201, True)


@pytest.mark.parametrize("two_factor", [True, False])
def test_a_password_of_staff_cannot_be_guessed_for_ever(transactional_db, settings, monkeypatch, two_factor):
    settings.STAFF_TWO_FACTOR = two_factor
    monkeypatch.setattr(logins, "TRIES_AT_ONCE", 3)
    get_user_model().objects.create_superuser("ann", password="right-0-right")

    def log_in(password, address):
        form = {"username": "ann", "password": password, "otp_token": "123456"}
        return Client(REMOTE_ADDR=address).post("/admin/login/?next=/admin/", form)

    for number in range(3):
        assert b"Too many tries" not in log_in("wrong", f"192.0.2.{number}").content
    answer = log_in("right-0-right", "192.0.2.99")
    assert answer.status_code == 200
    assert b"Too many tries" in answer.content


def test_who_guesses_does_not_lock_out_a_browser_in_which_the_user_has_logged_in(
    transactional_db, monkeypatch
):
    monkeypatch.setattr(logins, "TRIES_AT_ONCE", 3)
    get_user_model().objects.create_superuser("ann", password="right-0-right")
    door = "/admin/login/?next=/admin/"

    def log_in(client, password, name="ann"):
        return client.post(door, {"username": name, "password": password}).status_code

    own, guessing = Client(), Client(REMOTE_ADDR="192.0.2.1")
    assert log_in(own, "right-0-right", name="Ann".lower()) == 302
    cookie = own.cookies[logins.BROWSER_COOKIE]
    assert cookie["httponly"]
    own.get("/admin/logout/")
    assert [log_in(guessing, "wrong") for _ in range(6)] == [200] * 6
    assert log_in(Client(REMOTE_ADDR="192.0.2.2"), "right-0-right") == 200  # throttled
    assert log_in(own, "right-0-right") == 302
    # The cookie is of this user, not to be made, and has a limit of its own.
    for forged in (cookie.value.replace(":", "x:"), f"{logins._digest('ann')}.0", ""):
        stranger = Client(REMOTE_ADDR="192.0.2.3")
        stranger.cookies[logins.BROWSER_COOKIE] = forged
        assert b"Too many tries" in stranger.post(door, {"username": "ann", "password": "x"}).content
    thief = Client(REMOTE_ADDR="192.0.2.4")
    thief.cookies[logins.BROWSER_COOKIE] = cookie.value
    tries = [thief.post(door, {"username": "ann", "password": "x"}).content for _ in range(4)]
    assert b"Too many tries" in tries[-1]


def test_addresses_of_one_network_of_ipv6_guess_together(transactional_db, monkeypatch):
    monkeypatch.setattr(logins, "TRIES_AT_ONCE", 3)

    def tells(number):
        client = Client(REMOTE_ADDR=f"2001:db8::{number}")
        return client.post("/trade/login/", {"username": f"name-{number}", "password": "x"}).content

    assert [b"Too many tries" in tells(number) for number in range(1, 6)] == [False] * 3 + [True] * 2


def test_those_who_log_in_keep_few_threads_from_others(transactional_db, monkeypatch):
    """Each keeps one for as long as a password takes to check."""
    get_user_model().objects.create_superuser("ann", password="right-0-right")
    known = Client()
    form = {"username": "ann", "password": "right-0-right"}
    assert known.post("/admin/login/?next=/admin/", form).status_code == 302
    checking, go_on = threading.Semaphore(0), threading.Event()
    authenticate = logins.AuthenticationForm.clean

    def slow(form):
        checking.release()
        go_on.wait(20)
        return authenticate(form)

    monkeypatch.setattr(logins.AuthenticationForm, "clean", slow)

    def log_in(client, door):
        try:
            return client.post(door, form)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        tries = [
            pool.submit(log_in, Client(REMOTE_ADDR=f"192.0.2.{number}"), "/trade/login/")
            for number in range(logins.CHECKED_AT_ONCE)
        ]
        assert all(checking.acquire(timeout=20) for _ in tries)
        refused = Client(REMOTE_ADDR="192.0.2.99").post("/trade/login/", form)
        let_in = pool.submit(log_in, known, "/admin/login/?next=/admin/")
        assert checking.acquire(timeout=20)
        go_on.set()
        assert let_in.result(20).status_code == 302
        [attempt.result(20) for attempt in tries]
    assert b"Many log in at this moment" in refused.content


def test_passwords_are_hashed_on_a_thread_that_yields_to_all_others():
    assert check_password("right", make_password("right"))
    assert not check_password("wrong", make_password("right"))
    priority = password_hashing._thread(os.getpid()).submit(
        lambda: (threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    )
    thread, nice = priority.result()
    assert thread != threading.get_native_id()
    assert nice == 19
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < 19


# --- bodies without an end --------------------------------------------------------------------------------------------

HALF = [{"type": "http.request", "body": b"{", "more_body": True}]


class Stuck(AsgiClient):
    """Sends half a body, and stays."""

    def half(self):
        async def receive():
            if not coming:
                await asyncio.Event().wait()
            return coming.pop()

        coming = list(HALF)
        return receive


async def half_a_body(client, caller):
    sent = []
    headers = [(b"host", b"testserver"), (b"content-type", b"application/json")]
    headers.append((b"authorization", f"Token {caller.token}".encode()))
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/api/v1/orders",
        "raw_path": b"/api/v1/orders",
        "query_string": b"",
        "headers": headers,
        "root_path": "",
        "client": ("192.0.2.8", 1),
        "server": ("127.0.0.1", 8000),
        "http_version": "1.1",
    }

    async def send(message):
        sent.append(message)

    await client.application(scope, client.half(), send)
    return sent[0]["status"]


def test_a_body_has_to_end_in_time_and_of_too_many_of_one_address_the_oldest_goes(caller, monkeypatch):
    monkeypatch.setattr(bodies, "BODY_WITHIN_SECONDS", 0.5)
    monkeypatch.setattr(bodies, "LOOK_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(bodies, "BODIES_OF_ADDRESS", 2)
    client = Stuck()

    async def three():
        return await asyncio.gather(*(half_a_body(client, caller) for _ in range(3)))

    assert sorted(asyncio.run(three())) == [408, 408, 429]
    assert bodies._readings._of_address == {}
