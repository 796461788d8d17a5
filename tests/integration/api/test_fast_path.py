"""The fast path answers as the framework does, leaves to it what is unusual, and waits for nobody for ever."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import structlog
from django.contrib.auth import get_user_model
from django.db import InterfaceError, connection, connections, transaction
from django.test import Client
from rest_framework.authtoken.models import Token

from counter.api import auth
from counter.api.fast_path import FastPath
from counter.models import SyncOrder
from counter.orders import queue as queues
from counter.orders.queue import order_queue
from tests.support.api import error_of
from tests.support.asgi import AsgiClient, in_pieces
from tests.support.databases import waiting_for_a_lock
from tests.support.queueing import until
from tools.embedded.valkey import free_port

NOT_OF_ORDERS = {"allow"}  # REST framework tells with each answer which methods an address takes


class HandedOn(Exception):
    """The framework was asked."""


async def no_framework(scope, receive, send):
    raise HandedOn


@pytest.fixture
def alone(caller):
    """The fast path with nothing behind it, asked by `caller`."""
    made = FastPath(no_framework)
    yield AsgiClient(headers=_credentials(caller), application=made)
    made._looking_up.shutdown()


@pytest.fixture
def both(caller):
    """The fast path and the framework behind it, asked by `caller`."""
    return AsgiClient(headers=_credentials(caller))


def _credentials(caller):
    return {"Authorization": f"Token {caller.token}"}


@pytest.fixture
def order(option):
    return json.dumps({"type": "open", "client_order_id": "o", "symbol": option.symbol, "contracts": 1})


ORDERS, BATCH = "/api/v1/orders", "/api/v1/orders/batch"


# --- the same answers -----------------------------------------------------------------------------------------------


def test_usual_requests_never_reach_the_framework(alone, order):
    assert alone.post(ORDERS, order).status_code == 201
    assert alone.post(ORDERS, order, headers={"Accept": "application/json"}).status_code == 201
    assert alone.post(ORDERS, order, headers={"Accept": None}).status_code == 201
    assert alone.post(BATCH, f'{{"orders": [{order}]}}').status_code == 200


@pytest.mark.parametrize("body", ["order", "{}", '{"type":"open"'])
def test_both_doors_send_the_same_headers(alone, caller, order, body):
    caller.post("orders", order)  # the next one is a replay for either door
    raw = order if body == "order" else body
    by_fast_path, by_framework = alone.post(ORDERS, raw), caller.post("orders", raw)
    assert by_fast_path.content == by_framework.content
    assert names_and_values(by_fast_path) == names_and_values(by_framework)


def names_and_values(response):
    named = {name.lower(): value for name, value in response.headers.items()}
    return {name: value for name, value in named.items() if name not in NOT_OF_ORDERS}


@pytest.fixture
def behind_tls(settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 3600
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def test_behind_a_proxy_that_speaks_tls_orders_stay_on_the_fast_path(behind_tls, alone, caller, order):
    alone.headers["X-Forwarded-Proto"] = "https"
    assert alone.post(ORDERS, order).status_code == 201
    by_fast_path = alone.post(ORDERS, order)
    by_framework = Client(headers=alone.headers).post(ORDERS, order, content_type="application/json")
    assert names_and_values(by_fast_path) == names_and_values(by_framework)
    assert by_fast_path["Strict-Transport-Security"].startswith("max-age=3600")


@pytest.mark.parametrize("said", [None, "http", "https, http", "HTTPS"])
def test_behind_such_a_proxy_a_request_without_tls_goes_to_the_framework(behind_tls, alone, order, said):
    with pytest.raises(HandedOn):
        alone.post(ORDERS, order, headers={"X-Forwarded-Proto": said})


def test_what_proxies_say_in_several_lines_is_usual(alone, order):
    """Each adds a line for itself, and so do the proxies of customers."""
    for name in ("X-Forwarded-For", "Forwarded", "Via"):
        assert alone.post(ORDERS, order, headers={name: "a", name.lower(): "b"}).status_code == 201


# --- what is handed on ----------------------------------------------------------------------------------------------

UNUSUAL = [
    {"Authorization": None},
    {"Authorization": "Token"},
    {"Authorization": "Token " + "0" * 40},
    {"Authorization": "Token é"},
    {"Authorization": "Bearer x"},
    {"Content-Type": "application/json; charset=utf-8"},
    {"Content-Type": "text/plain"},
    {"Content-Type": None},
    {"Content-Length": "99999999"},
    {"Accept": "text/html"},
    {"Host": "evil.example"},
    {"Host": None},
    {"Idempotency-Key": "k"},
]


@pytest.mark.parametrize("headers", UNUSUAL, ids=repr)
def test_what_is_unusual_goes_to_the_framework(alone, order, headers):
    with pytest.raises(HandedOn):
        alone.post(ORDERS, order, headers=headers)
    assert not SyncOrder.objects.exists()


def test_other_methods_addresses_queries_and_repeated_headers_go_to_the_framework(alone, order):
    for method, path, options in (
        ("GET", ORDERS, {}),
        ("HEAD", ORDERS, {}),
        ("PUT", ORDERS, {}),
        ("POST", "/api/v1/orders/", {}),
        ("POST", ORDERS, {"query": "format=xml"}),
        ("POST", ORDERS, {"headers": {"Authorization": "Token x", "authorization": "Token y"}}),
    ):
        with pytest.raises(HandedOn):
            alone.request(method, path, **options)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": None}, 401, "not_authenticated"),
        ({"Authorization": "Token " + "0" * 40}, 401, "authentication_failed"),
        ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ({"Content-Length": "99999999"}, 413, "body_too_large"),
        ({"Accept": "text/html"}, 406, "not_acceptable"),
        ({"Host": "evil.example"}, 400, "invalid_request"),
        ({"Idempotency-Key": "k"}, 400, "idempotency_key_refused"),
    ],
    ids=repr,
)
def test_the_framework_says_what_is_wrong(both, order, headers, status, code):
    assert error_of(both.post(ORDERS, order, headers=headers), status)["code"] == code
    assert not SyncOrder.objects.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Length": None, "Transfer-Encoding": "chunked"},
        {"Content-Length": None, "Content-Type": "application/json; charset=utf-8"},
    ],
    ids=repr,
)
def test_unusual_but_valid_orders_are_placed(both, order, headers):
    assert both.post(ORDERS, order, headers=headers).status_code == 201


def test_a_body_that_does_not_say_how_long_it_is_may_not_be_longer(both, order, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    chunked = {"Content-Length": None, "Transfer-Encoding": "chunked"}
    assert both.post(ORDERS, order.ljust(1000), headers=chunked).status_code == 201
    for headers in (chunked, chunked | {"Content-Type": "application/json; charset=utf-8"}):
        answer = both.post(ORDERS, order.ljust(1001), headers=headers)
        assert error_of(answer, 413)["code"] == "body_too_large"


def test_reading_goes_on_as_before(both, order):
    both.post(ORDERS, order)
    assert len(both.request("GET", ORDERS).json()["results"]) == 1
    assert both.request("HEAD", ORDERS).status_code == 200


def test_a_session_places_with_its_csrf_token(caller, order):
    client = Client(enforce_csrf_checks=True)
    client.force_login(caller.customer.user)
    cookie = f"sessionid={client.cookies['sessionid'].value}; csrftoken={'c' * 32}"
    browser = AsgiClient(headers={"Cookie": cookie})
    assert error_of(browser.post(ORDERS, order), 403)["code"] == "permission_denied"
    assert browser.post(ORDERS, order, headers={"X-CSRFToken": "c" * 32}).status_code == 201


def test_users_who_are_no_customers_are_refused(option, order, new_caller):
    staff = get_user_model().objects.create_user("staff")
    client = AsgiClient(headers={"Authorization": f"Token {Token.objects.create(user=staff).key}"})
    assert error_of(client.post(ORDERS, order), 403)["code"] == "customer_required"


# --- clients that go ------------------------------------------------------------------------------------------------


def test_a_client_that_goes_while_it_sends_places_nothing(alone, order):
    pieces = in_pieces(order.encode())[:-2]
    length = {"Content-Type": "application/json", "Content-Length": str(len(order))}
    assert alone.request("POST", ORDERS, pieces=pieces, headers=length) is None
    assert not SyncOrder.objects.exists()


def test_a_request_that_is_cancelled_while_its_order_waits_does_no_harm(alone, order, monkeypatch):
    begun, go = threading.Event(), threading.Event()
    place = order_queue._place

    def slowly(**arguments):
        begun.set()
        assert go.wait(10)
        return place(**arguments)

    async def leave():
        length = {"Content-Type": "application/json", "Content-Length": str(len(order))}
        asked = asyncio.create_task(
            alone.ask("POST", ORDERS, pieces=in_pieces(order.encode()), headers=length)
        )
        assert await asyncio.to_thread(begun.wait, 10)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    with structlog.testing.capture_logs() as logged, monkeypatch.context() as slow:
        slow.setattr(order_queue, "_place", slowly)
        asyncio.run(leave())
        go.set()
        order_queue.stop()
    assert SyncOrder.objects.count() == 1
    assert logged == []
    assert alone.post(ORDERS, order)["Idempotent-Replayed"] == "true"


# --- who asks -------------------------------------------------------------------------------------------------------


def test_a_revoked_token_is_out_at_once(both, order):
    assert both.post(ORDERS, order).status_code == 201
    Token.objects.all().delete()
    assert error_of(both.post(ORDERS, order), 401)["code"] == "authentication_failed"


def test_a_token_revoked_by_another_process_is_out_when_its_second_is_over(both, order, caller, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(
        auth._callers, "_known", auth.TTLCache(10, auth.REMEMBERED_FOR_SECONDS, timer=lambda: now[0])
    )
    assert both.post(ORDERS, order).status_code == 201
    with connection.cursor() as cursor:  # past the signals of this process
        cursor.execute("DELETE FROM authtoken_token")
    now[0] = 0.9
    assert both.post(ORDERS, order).status_code == 201
    now[0] = auth.REMEMBERED_FOR_SECONDS
    assert error_of(both.post(ORDERS, order), 401)["code"] == "authentication_failed"


def test_a_token_revoked_in_a_transaction_is_out_at_its_commit(caller):
    with transaction.atomic():
        Token.objects.all().delete()
        in_thread(lambda: auth.caller_of(caller.token))  # another connection still sees it, and remembers it
        assert auth.known_caller(caller.token)
    assert auth.known_caller(caller.token) is None


def test_a_token_revoked_while_it_is_looked_up_is_not_remembered(caller, monkeypatch):
    look_up = auth._looked_up

    def revoked_meanwhile(key):
        found = look_up(key)
        Token.objects.all().delete()
        return found

    monkeypatch.setattr(auth, "_looked_up", revoked_meanwhile)
    assert auth.caller_of(caller.token).customer_id == caller.customer.pk
    assert auth.known_caller(caller.token) is None


def in_thread(action):
    """Run it with a connection of its own."""

    def run():
        try:
            action()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


# --- databases that do not answer -----------------------------------------------------------------------------------


@contextmanager
def locked(table):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.timed
def test_a_database_that_does_not_say_who_asks_is_503_in_time_and_nothing_was_done(alone, order, settings):
    with locked("authtoken_token"):
        settings.ORDER_WITHIN_SECONDS = 1.0
        answer = alone.post(ORDERS, order)
        settings.ORDER_WITHIN_SECONDS = 2.0
    assert error_of(answer, 503)["code"] == "overloaded"
    assert answer["Retry-After"] == "1"
    assert alone.post(ORDERS, order).status_code == 201


def test_while_the_database_is_away_no_thread_of_the_framework_is_asked(alone, order, monkeypatch):
    """Hundreds of clients try again meanwhile: each would wait in a thread, and be there still when it is back."""
    with monkeypatch.context() as away:
        away.setitem(connections.settings["default"], "PORT", str(free_port()))
        answer = alone.post(ORDERS, order)
    assert error_of(answer, 503)["code"] == "unavailable"
    assert answer["Retry-After"] == "1"
    assert alone.post(ORDERS, order).status_code == 201


@pytest.mark.parametrize("error", [InterfaceError("the cursor is closed"), psycopg.OperationalError("bad")])
def test_every_error_of_a_lost_connection_is_told_as_unavailable(alone, order, monkeypatch, error):
    def lost(key):
        raise error

    with monkeypatch.context() as away:
        away.setattr(auth, "_looked_up", lost)
        assert error_of(alone.post(ORDERS, order), 503)["code"] == "unavailable"
    assert alone.post(ORDERS, order).status_code == 201


@pytest.mark.timed
def test_an_order_that_is_not_reached_in_time_is_overloaded_and_one_unheard_of_unavailable(
    alone, order, monkeypatch, settings
):
    assert alone.post(ORDERS, order).status_code == 201
    monkeypatch.setattr(queues, "LOCK_WITHIN", "20s")
    settings.ORDER_WITHIN_SECONDS = 5.0  # for so long nothing is heard of the first
    with locked("counter_account"), ThreadPoolExecutor() as pool:
        first = pool.submit(alone.post, ORDERS, order)
        until(waiting_for_a_lock)
        settings.ORDER_WITHIN_SECONDS = 1.0
        for code, answer in (("overloaded", alone.post(ORDERS, order)), ("unavailable", first.result())):
            assert error_of(answer, 503)["code"] == code
            assert answer["Retry-After"] == "1"
        monkeypatch.setattr(queues, "WAITING_ORDERS", 0)
        assert error_of(alone.post(ORDERS, order), 503)["code"] == "overloaded"
