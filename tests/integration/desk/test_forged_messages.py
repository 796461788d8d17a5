"""Who can write to the broker makes the desk do nothing: with each broker, what this stack has not sent is refused."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO

import pytest
import redis
from celery import current_app
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone
from kombu import Connection
from structlog.testing import capture_logs

from acceptance.models import AcceptedOrder, Conflict
from cockpit import queues
from cockpit.models import QueueDepth
from infra.broker import dead_letters as dead
from infra.broker.connection import dead_letter_queue, message_queue
from infra.broker.dead_letters import dead_letters
from infra.broker.dispatcher import dispatcher
from infra.broker.message_signing import SYNC, mac_headers
from infra.broker.transports import uses_redis
from infra.models import Canary
from settlement.models import Conversion
from tests.support.brokers import Broker, task_queue
from tests.support.databases import environment
from tests.support.desk_bench import event, take_in
from tests.support.streaming import accepted, batch, place, until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

THREE_COINS = event(coin="3")


def refused(count: int) -> set[str]:
    """The causes of so many dead letters."""
    until(lambda: len(dead_letters()) == count)
    return {letter.reason for letter in dead_letters()}


# --- counter's messages ---------------------------------------------------------------------------------------------


def test_a_forged_changed_or_strange_order_is_refused_told_and_stops_no_other(intake, mq, queue_only):
    real = batch(event())
    with override_settings(STACK_NAME="another"):
        of_another_stack = mac_headers(batch(THREE_COINS), purpose=SYNC)
    with override_settings(SERVICE_KEY="another stack's service key"):
        by_another_key = mac_headers(batch(THREE_COINS), purpose=SYNC)
    forged = [{}, mac_headers(real, purpose=SYNC), of_another_stack, by_another_key]
    for headers in forged:
        mq.publish(batch(THREE_COINS), headers=headers)
    ids = place()
    until(lambda: accepted(ids))
    causes = refused(len(forged))
    assert not AcceptedOrder.objects.filter(coin=Decimal(3)).exists()
    assert not Conflict.objects.exists()
    assert {cause.split(":")[0] for cause in causes} == {
        "NotOurs('it is not signed')",
        "NotOurs('it was changed, or sent by another stack",
        "NotOurs('it is signed with a key that this stack has not",
    }
    queues.measure(now=timezone.now())
    assert QueueDepth.objects.get(queue=queues.DEAD).messages == len(forged)  # which the first page tells


def test_what_is_refused_is_refused_again_when_dead_letters_are_sent_again(intake, mq, queue_only):
    mq.publish(batch(THREE_COINS), headers={})
    refused(1)
    call_command("dead_letters", "--replay", stdout=StringIO())
    until(lambda: mq.depth(message_queue().name) == 0 and mq.unacknowledged() == 0)
    refused(1)
    assert not AcceptedOrder.objects.exists()


def test_a_genuine_message_that_is_sent_again_changes_nothing(intake, mq, queue_only):
    order, last = event(), event()
    for _ in range(3):
        mq.publish(batch(order))
    mq.publish(batch(last))
    until(lambda: accepted([order.order_id, last.order_id]))
    until(lambda: mq.depth(message_queue().name) == 0 and mq.unacknowledged() == 0)
    assert AcceptedOrder.objects.count() == 2
    assert not Conflict.objects.exists()


def test_messages_of_the_key_before_are_taken_while_keys_are_exchanged(intake, mq, queue_only, settings):
    old = settings.SERVICE_KEY
    order = event()
    signed = mac_headers(batch(order), purpose=SYNC)
    settings.SERVICE_KEY = f"the next key,{old}"
    mq.publish(batch(order), headers=signed)
    until(lambda: accepted([order.order_id]))
    assert dead_letters() == []


def test_of_two_stacks_on_one_broker_each_takes_its_own(intake, mq, queue_only):
    ours = message_queue().name
    with override_settings(STACK_NAME="another", SYNC_QUEUE="another.sync-orders"):
        theirs = batch(event())
        with Connection(mq.url) as connection:
            message_queue()(connection.default_channel).declare()
        mq.publish(theirs)
    ids = place()
    until(lambda: accepted(ids))
    until(lambda: mq.depth(ours) == 0)
    assert mq.depth("another.sync-orders") == 1
    assert AcceptedOrder.objects.count() == len(ids)
    assert dead_letters() == []


def test_orders_that_an_earlier_release_left_in_its_queue_unsigned_come_by_the_pull(intake, mq):
    with Connection(mq.url) as connection, connection.Producer() as producer:
        producer.publish(b"unsigned", exchange="", routing_key="sync-orders")
        with override_settings(SYNC_QUEUE="sync-orders"):  # where web still sends
            ids = place()
            until(lambda: accepted(ids))
    assert set(AcceptedOrder.objects.values_list("door", flat=True)) == {"pull"}


# --- what is no message at all ---------------------------------------------------------------------------------------

ENVELOPE = {"delivery_tag": "1", "delivery_info": {"exchange": "", "routing_key": "x"}}
NO_MESSAGES = [
    b"no JSON",
    b"\xff\xfe",
    b"[" * 100_000,
    b"{}",
    b"[]",
    b"null",
    b'"text"',
    b'{"__type__": "datetime", "__value__": "never"}',
    json.dumps({"body": "x", "properties": {}}).encode(),
    json.dumps({"body": 10**12, "headers": {}, "properties": ENVELOPE}).encode(),  # would be so many bytes
    json.dumps({"body": "x", "headers": [1], "properties": ENVELOPE}).encode(),
    json.dumps({"body": "x", "headers": {}, "properties": ENVELOPE | {"body_encoding": "zip"}}).encode(),
    json.dumps({"body": "x", "headers": {"compression": "zlib"}, "properties": ENVELOPE}).encode(),
]


def push(mq: Broker, queue: str) -> None:
    with redis.Redis.from_url(mq.url) as client:
        for raw in NO_MESSAGES:
            client.lpush(queue, raw)


# A client of Valkey writes into the lists that are the queues; RabbitMQ makes a message of anything it takes.
only_valkey = pytest.mark.parametrize("url", ["valkey"], indirect=True)


@only_valkey
def test_what_is_no_message_is_put_aside_and_the_loop_that_meets_it_goes_on(intake, mq, queue_only):
    with capture_logs() as lines:
        push(mq, message_queue().name)
        ids = place()
        until(lambda: accepted(ids))
        causes = refused(len(NO_MESSAGES))
    assert {cause.split(":")[0] for cause in causes} == {"NotOurs('it is not signed')"}
    assert not [line for line in lines if line["event"] == "intake loop starts again"]


@only_valkey
def test_what_is_no_message_among_the_dead_letters_is_shown_as_one(mq):
    push(mq, dead_letter_queue().name)
    assert [letter.body[:20] for letter in dead_letters()][:2] == [b"no JSON", "\ufffd\ufffd".encode()]
    assert dead.discard() == len(NO_MESSAGES)


def test_a_packed_message_that_cannot_be_unpacked_stops_no_other(intake, mq, queue_only):
    mq.publish(batch(event()), headers={"compression": "application/x-gzip"})
    ids = place()
    until(lambda: accepted(ids))
    refused(1)


# --- tasks ----------------------------------------------------------------------------------------------------------


def raw_task(
    name: str, *args: object, headers: dict[str, object] | None = None
) -> tuple[bytes, dict[str, object]]:
    """A task as anybody can write it who knows Celery's protocol."""
    body = json.dumps(
        [args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    ).encode()
    known = {"lang": "py", "task": name, "id": f"forged-{name}", "argsrepr": repr(args), "kwargsrepr": "{}"}
    return body, {**known, **(headers or {})}


def put(mq: Broker, queue: str, body: bytes, headers: dict[str, object]) -> None:
    with Connection(mq.url) as connection, connection.Producer() as producer:
        producer.publish(
            body,
            exchange="",
            routing_key=task_queue(queue),
            headers=headers,
            content_type="application/json",
            content_encoding="utf-8",
        )


@pytest.fixture
def worker(mq: Broker, two_systems: None, tmp_path) -> Iterator[None]:
    """A real worker of this stack, on queues that it is told by their short names."""
    log = tmp_path / "worker.log"
    told = environment() | {"BROKER_URL": mq.url}
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "config", "worker", "--pool", "solo"),
                *("--queues", "convert,settle,sweeps", "--loglevel", "INFO"),
            ],
            cwd=django_settings.BASE_DIR,
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until(lambda: " ready." in log.read_text() or process.poll() is not None, within=90)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def test_a_worker_runs_what_this_stack_sends_nothing_that_is_forged_and_goes_on(mq, worker):
    order = take_in(event())  # its chain is sent, and signed
    assert order.accepted
    body, headers = raw_task("config.canary", "settle", headers={"sent_at": "2999-01-01T00:00:00+00:00"})
    put(mq, "sweeps", body, headers)  # would have shown the workers alive for ever
    put(mq, "convert", *raw_task("settlement.convert", "BTC"))
    put(mq, "settle", *raw_task("settlement.reconcile", "somebody's name"))
    put(mq, "sweeps", *raw_task("celery.starmap", {"task": "settlement.resume"}, [[]]))
    causes = refused(4)
    assert {cause.split(":")[0] for cause in causes} == {
        *(
            "task config.canary",
            "task settlement.convert",
            "task settlement.reconcile",
            "task celery.starmap",
        ),
    }
    dispatcher.send([("config.canary", ["settle"])])  # not dated, so it notes nothing
    sent_at = timezone.now().isoformat()
    current_app.send_task("config.canary", ["settle"], queue="settle", headers={"sent_at": sent_at})
    until(lambda: Canary.objects.filter(queue="settle").exists())
    assert Canary.objects.get().sent_at.year < 2999
    assert dead.replay() == 0  # tasks are not sent to the desk
    assert len(dead_letters()) == 4
    assert not Conversion.objects.exists() or AcceptedOrder.objects.count() == 1
    if uses_redis(mq.url):
        outlives_what_is_no_message(mq)


def outlives_what_is_no_message(mq: Broker) -> None:
    """RabbitMQ takes no such thing."""
    push(mq, task_queue("sweeps"))
    sent_at = timezone.now().isoformat()
    current_app.send_task("config.canary", ["sweeps"], queue="sweeps", headers={"sent_at": sent_at})
    until(lambda: Canary.objects.filter(queue="sweeps").exists())


def test_tasks_lie_in_queues_of_the_stacks_own_name(mq):
    dispatcher.send([("settlement.report", [])])
    until(lambda: mq.depth(task_queue("settle")) == 1)
    assert mq.depth("settle") == 0
