"""Each answer has the id of its request, and so has each line that is logged for it, wherever it runs."""

import asyncio
import json
import re

import pytest
import structlog
from django.db import OperationalError

from counter.api import fast_path
from counter.api.orders import OrdersView
from infra.observability.request_ids import add_request_id
from tests.support.api import error_of
from tests.support.asgi import AsgiClient

ORDERS = "/api/v1/orders"
MADE = re.compile(r"[0-9a-f]{16}")


@pytest.fixture
def client(caller):
    """Speaks to the web program as its server does."""
    return AsgiClient(headers={"Authorization": f"Token {caller.token}"})


@pytest.fixture
def order(option):
    return json.dumps({"type": "open", "client_order_id": "o", "symbol": option.symbol, "contracts": 1})


@pytest.mark.parametrize("given", ["a", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "bot7:2026_11", "x" * 36])
def test_a_well_formed_id_is_kept_on_either_path(client, order, given):
    assert client.post(ORDERS, order, headers={"Request-Id": given})["Request-Id"] == given
    assert client.request("GET", ORDERS, headers={"Request-Id": given})["Request-Id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 37, "1.5", "a b", "é", 'a"b', "a\x1b[2J"])
def test_any_other_is_replaced_by_a_new_one(client, order, given):
    answers = [
        client.post(ORDERS, order, headers={"Request-Id": given}),
        client.request("GET", ORDERS, headers={"Request-Id": given}),
    ]
    ids = [answer["Request-Id"] for answer in answers]
    assert all(MADE.fullmatch(each) for each in ids)
    assert len(set(ids)) == 2


def test_of_two_given_ones_none_counts(client, order):
    answer = client.post(ORDERS, order, headers={"Request-Id": "a", "request-id": "b"})
    assert MADE.fullmatch(answer["Request-Id"])


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/nothing", "/api/schema", "/trade/"])
def test_every_answer_has_it(client, path):
    assert client.request("GET", path, headers={"Request-Id": "mine"})["Request-Id"] == "mine"


def test_an_answer_that_is_shared_has_the_id_of_each_who_asks(client):
    async def both():
        return await asyncio.gather(
            *(client.ask("GET", "/readyz", headers={"Request-Id": each}) for each in ("first", "second"))
        )

    assert [answer["Request-Id"] for answer in asyncio.run(both())] == ["first", "second"]


def failing(*_, **__):
    raise ZeroDivisionError


def test_the_lines_of_a_request_bear_it_on_the_loop_and_on_threads(client, order, monkeypatch):
    monkeypatch.setattr(fast_path.order_queue, "place_soon", failing)
    monkeypatch.setattr(OrdersView, "get", failing)
    with structlog.testing.capture_logs(processors=[add_request_id]) as lines:
        error_of(client.request("GET", ORDERS, headers={"Request-Id": "thread"}), 500)
        error_of(client.post(ORDERS, order, headers={"Request-Id": "loop"}), 500)
    told = [line.get("request_id") for line in lines if line["event"] == "unexpected error"]
    assert told == ["thread", "loop"]


def test_orders_that_a_database_left_unanswered_are_told_with_the_ids_of_their_requests(
    client, order, monkeypatch
):
    def away(*_, **__):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(fast_path.order_queue, "_place", away)
    with structlog.testing.capture_logs() as lines:
        error_of(client.post(ORDERS, order, headers={"Request-Id": "asked"}), 503)
    [told] = [line for line in lines if line["event"] == "database unavailable, orders unanswered"]
    assert told["request_ids"] == ["asked"]


def test_a_line_that_is_logged_while_the_caller_is_looked_up_bears_it(client, order, monkeypatch):
    log = structlog.get_logger()

    def look_up(_):
        log.info("looked up")

    monkeypatch.setattr(fast_path, "known_caller", lambda _: None)
    monkeypatch.setattr(fast_path, "caller_of", look_up)
    with structlog.testing.capture_logs(processors=[add_request_id]) as lines:
        client.post(ORDERS, order, headers={"Request-Id": "mine"})
    assert [line["request_id"] for line in lines if line["event"] == "looked up"] == ["mine"]
