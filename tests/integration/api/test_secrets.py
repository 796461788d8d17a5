"""What leaves a process while orders pass and fail: to Sentry no token and no amount, to the broker ids alone."""

import base64
import json

import pytest
import redis
from django.conf import settings

from counter.orders.queue import order_queue
from infra.observability import logging as program_logging
from infra.observability.redaction import secrets_of
from tests.support.api import error_of
from tests.support.api_keys import SigningCaller
from tests.support.brokers import task_queue
from tests.support.desk_bench import event, take_in
from tests.support.sentry import Kept

AMOUNT = "98765.432109"


@pytest.fixture
def sent():
    program_logging.start_sentry(dsn="https://public@sentry.invalid/1", transport=Kept)
    yield Kept.sent
    Kept.stop()


@pytest.mark.parametrize("door", ["fast_path", "framework"])
def test_an_error_of_ours_is_told_without_whom_and_how_much(
    sent, new_caller, option, monkeypatch, capfd, door
):
    def fail(**placing):
        raise RuntimeError(f"cannot place {placing['requests']}")

    monkeypatch.setattr(order_queue, "_place", fail)
    caller = new_caller(door=door)
    order = {"type": "open", "client_order_id": "o", "symbol": option.symbol, "contracts": 1}
    answer = caller.post("orders", order | {"max_cost": AMOUNT})
    assert error_of(answer, 500)["code"] == "internal_error"
    told = "".join(sent)
    assert "RuntimeError" in told
    assert "counter/orders/queue.py" in told
    for text in (answer.content.decode(), told):
        assert caller.token not in text
        assert AMOUNT not in text
    assert caller.token not in "".join(capfd.readouterr())


@pytest.mark.parametrize("door", ["fast_path", "framework"])
def test_an_error_in_a_signed_request_is_told_without_its_secret(
    sent, new_caller, option, monkeypatch, capfd, door
):
    def fail(**placing):
        raise RuntimeError(f"cannot place {placing['requests']}")

    monkeypatch.setattr(order_queue, "_place", fail)
    signer = SigningCaller(new_caller().customer, door=door)
    body = json.dumps(
        {"type": "open", "client_order_id": "o", "symbol": option.symbol, "contracts": 1}
    ).encode()
    headers = signer.headers("POST", "/api/v1/orders", body)
    answer = signer.send("/api/v1/orders", body, headers)
    assert error_of(answer, 500)["code"] == "internal_error"
    told = "".join((*sent, *capfd.readouterr(), answer.content.decode()))
    assert "RuntimeError" in told
    for secret in (signer.secret, signer.key.encrypted_secret, headers["X-API-Signature"]):
        assert secret not in told


@pytest.mark.django_db(transaction=True, databases=["desk"])
def test_tasks_carry_ids_and_nothing_else(broker_url):
    take_in(event(), event(underlying="ETH"))
    with redis.Redis.from_url(broker_url) as client:
        messages = [json.loads(raw) for raw in client.lrange(task_queue("convert"), 0, -1)]
    assert len(messages) == 2
    for message in messages:
        args, kwargs, embedded = json.loads(base64.b64decode(message["body"]))
        assert (args, kwargs) in ((["BTC"], {}), (["ETH"], {}))
        assert [(step["args"], step["kwargs"]) for step in embedded["chain"]] == [([], {})]
        written = json.dumps(message) + json.dumps(embedded)
        assert not [secret for secret in secrets_of(settings) if secret in written]
