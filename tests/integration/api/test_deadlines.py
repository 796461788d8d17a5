"""An order through the API has one deadline from its arrival, and a refusal says whether it is the last word."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from django.utils import timezone

from config.asgi import application
from counter.models import SyncOrder
from counter.orders import queue as queues
from counter.trading.switches import State, throw
from tests.support.api import error_of
from tests.support.asgi import GONE, AsgiClient
from tests.support.databases import held_account, waiting_for_a_lock
from tests.support.queueing import SOON, until

pytestmark = pytest.mark.usefixtures("promised_deadline")


def order_of(option, name="a", **changes):
    return {"type": "open", "client_order_id": name, "symbol": option.symbol, "contracts": 1} | changes


@contextmanager
def stopped():
    throw(underlying="BTC", to=State.OPENS_STOPPED, reason="a test", by="ann", now=timezone.now())
    yield
    throw(underlying="BTC", to=State.RUNNING, reason="a test", by="ann", now=timezone.now())


@pytest.mark.timed
@pytest.mark.parametrize("door", ["fast_path", "framework"])
def test_a_request_whose_account_is_held_is_over_in_two_seconds_and_never_placed(new_caller, option, door):
    caller = new_caller(door=door)
    assert caller.post("orders", order_of(option, "before")).status_code == 201
    with patch.object(queues, "LOCK_WITHIN", "20s"):
        with held_account(caller.customer.pk):
            started = time.monotonic()
            assert error_of(caller.post("orders", order_of(option)), 503)["code"] == "unavailable"
            assert 1.8 < time.monotonic() - started < 2.6
        queues.order_queue.stop()
    assert not SyncOrder.objects.filter(client_order_id="a").exists()


@pytest.mark.parametrize("accept", ["*/*", "application/json, */*"], ids=["fast_path", "framework"])
def test_an_order_whose_body_comes_after_its_deadline_is_never_placed(caller, option, accept):
    """By the refusal of another attempt its client has been told that this one is over by then."""

    async def slowly(scope, receive, send):
        async def late():
            message = await receive()
            if not message.get("more_body"):
                await asyncio.sleep(1.5)
            return message

        await application(scope, late, send)

    client = AsgiClient(
        application=slowly, headers={"Authorization": f"Token {caller.token}", "Accept": accept}
    )
    answer = client.post("/api/v1/orders", json.dumps(order_of(option)))
    assert error_of(answer, 503)["code"] == "overloaded"
    assert not SyncOrder.objects.exists()


@pytest.mark.timed
def test_a_client_that_hangs_up_takes_its_order_along(caller, option):
    headers = {"Authorization": f"Token {caller.token}", "Content-Type": "application/json"}
    body = {"type": "http.request", "body": json.dumps(order_of(option)).encode(), "more_body": False}
    client = AsgiClient(headers=headers)
    assert client.request("POST", "/api/v1/orders", pieces=[body]).status_code == 201
    other = body | {"body": json.dumps(order_of(option, "b")).encode()}
    with (
        patch.object(queues, "LOCK_WITHIN", "20s"),
        held_account(caller.customer.pk),
        ThreadPoolExecutor() as pool,
    ):
        busy = pool.submit(caller.post, "orders", order_of(option, "c"))  # holds the writer up
        until(waiting_for_a_lock)
        started = time.monotonic()
        client.request("POST", "/api/v1/orders", pieces=[other, GONE])
        assert time.monotonic() - started < 1
        busy.result(SOON)
    assert not SyncOrder.objects.filter(client_order_id="b").exists()


@pytest.mark.parametrize("door", ["fast_path", "framework"])
def test_a_refusal_says_whether_it_is_final(new_caller, option, door):
    caller = new_caller(door=door)
    assert caller.post("orders", order_of(option)).status_code == 201
    reused = error_of(caller.post("orders", order_of(option, contracts=2)), 409)
    assert (reused["code"], reused["final"]) == ("client_order_id_reused", True)
    assert "final_after_ms" not in reused
    with stopped():
        refused = error_of(caller.post("orders", order_of(option, "b")), 409)
        [of_a_batch] = caller.post("orders/batch", {"orders": [order_of(option, "b")]}).json()["results"]
    for problem in (refused, of_a_batch["error"]):
        assert (problem["code"], problem["final"], problem["final_after_ms"]) == (
            "trading_stopped",
            False,
            2000,
        )
