"""The intake process: orders come in by the broker, and go on coming in and being settled whatever the broker does."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from celery import current_app
from kombu import Connection

from acceptance import counter_client, stream
from acceptance.models import AcceptedOrder
from acceptance.stream import IntakeProcess
from config.broker import dispatcher, sync_queue
from counter import outbox
from counter.contracts import SyncBatch, encode
from counter.models import SyncOrder
from settlement.venues import ccxt_venue
from tests.support.desk_bench import event, order_states
from tests.support.factories import make_customer, make_option, place_open
from tests.support.proxy import Line, Proxy

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

SOON_SECONDS = (
    10.0  # generous for a machine that does other things; what is fast is asserted where it matters
)


def until(holds: Callable[[], Any], *, within: float = SOON_SECONDS) -> float:
    """Wait until something holds; how long it took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < within, "it did not come to hold"
        time.sleep(0.01)
    return time.monotonic() - started


@pytest.fixture
def line(broker_url: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way of this process to the broker."""
    parts = urlsplit(broker_url)
    assert parts.hostname
    assert parts.port
    proxy = Proxy(parts.hostname, parts.port)
    url = broker_url.replace(f":{parts.port}/", f":{proxy.port}/")
    settings.BROKER_URL = url
    app: Any = current_app
    was, app.conf.broker_url = app.conf.broker_url, url
    app._after_fork()  # it forgets its connections
    monkeypatch.setattr(outbox, "publisher", outbox.Publisher())
    yield proxy
    app.conf.broker_url = was
    app._after_fork()
    proxy.close()


@pytest.fixture
def intake(
    two_systems: None,
    line: Proxy,
    venue: Any,
    live_server: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[IntakeProcess]:
    """The intake process on threads of this one, between the real counter, broker and venue."""
    settings.COUNTER_URL = live_server.url
    monkeypatch.setattr(ccxt_venue, "_venue", venue)
    process = IntakeProcess()
    process.start()
    until(process.broker_up.is_set)
    yield process
    process.stop()


def place(count: int = 3) -> list[int]:
    option, customer = make_option(), make_customer()
    return [place_open(customer, option).id for _ in range(count)]


def doors() -> set[str]:
    return set(AcceptedOrder.objects.values_list("door", flat=True))


def accepted(ids: list[int]) -> bool:
    return set(AcceptedOrder.objects.values_list("order_id", flat=True)) >= set(ids)


def acknowledged() -> bool:
    return not SyncOrder.objects.filter(state="PENDING").exists()


def chains(broker_url: str) -> int:
    with redis.Redis.from_url(broker_url) as client:
        return client.llen("convert")


def test_what_counter_publishes_is_taken_in_and_acknowledged(intake, broker_url):
    ids = place()
    until(lambda: accepted(ids))
    assert doors() == {"queue"}
    until(acknowledged)
    until(lambda: chains(broker_url) >= 1)  # the settlement is the workers'
    assert order_states() == {"RECEIVED"}


def test_a_poison_message_does_not_stop_the_others(intake, broker_url):
    with Connection(broker_url) as connection, connection.Producer() as producer:
        for body in (b"{", b'{"events": [{}]}', encode(SyncBatch(events=[event(coin="1E+15")])), b"\xff"):
            producer.publish(
                body, routing_key=sync_queue().name, content_type="application/json", content_encoding="utf-8"
            )
        producer.publish(b"x", routing_key=sync_queue().name, content_type="application/x-python-serialize")
    ids = place()
    until(lambda: accepted(ids))
    assert doors() == {"queue"}
    with redis.Redis.from_url(broker_url) as client:
        until(lambda: client.llen(sync_queue().name) == 0 and client.hlen("unacked") == 0)


def test_without_a_broker_orders_are_pulled_and_settled_in_this_process(intake, line):
    line.set(Line.CUT)
    until(lambda: not intake.broker_up.is_set())
    ids = place()
    took = until(lambda: accepted(ids))
    assert doors() == {"pull"}
    assert took < 2.0
    until(lambda: order_states() == {"REPORTED"})
    assert set(SyncOrder.objects.values_list("state", flat=True)) == {"SETTLED"}

    line.set(Line.UP)
    until(intake.broker_up.is_set)
    until(outbox_is_connected)
    place()
    until(lambda: "queue" in doors())


def outbox_is_connected() -> bool:
    """The publisher has come back: it drops what it is given meanwhile, which the pull then brings."""
    place(1)
    outbox.publisher.flush(1.0)
    return AcceptedOrder.objects.filter(door="queue").exists()


def test_a_broker_that_hangs_is_found_out_and_orders_are_settled_without_it(intake, line):
    line.set(Line.HUNG)
    for _ in range(2):
        ids = place()
        assert until(lambda ids=ids: accepted(ids)) < 3.0
    assert doors() == {"pull"}
    until(lambda: not intake.broker_up.is_set(), within=15.0)
    until(lambda: order_states() == {"REPORTED"}, within=15.0)

    line.set(Line.UP)
    until(intake.broker_up.is_set, within=15.0)


def test_what_was_left_before_is_resumed_at_the_start(
    two_systems, line, venue, live_server, settings, monkeypatch
):
    settings.COUNTER_URL = live_server.url
    monkeypatch.setattr(ccxt_venue, "_venue", venue)
    line.set(Line.CUT)
    ids = place()
    process = IntakeProcess()
    process.start()
    try:
        assert until(lambda: accepted(ids) and order_states() == {"REPORTED"}) < 5.0
    finally:
        process.stop()


def test_placing_orders_never_waits_for_a_broker_that_hangs(two_systems, line):
    line.set(Line.HUNG)
    option, customer = make_option(), make_customer()
    for _ in range(5):
        started = time.monotonic()
        place_open(customer, option)
        assert time.monotonic() - started < 0.5


def test_a_message_that_was_not_stored_comes_again(intake, monkeypatch):
    failures = iter([RuntimeError("the database is away")])
    ingest = stream.ingest

    def fail_once(**arguments: Any) -> Any:
        for failure in failures:
            raise failure
        return ingest(**arguments)

    monkeypatch.setattr(counter_client, "pull", lambda **_: [])  # the queue alone has to bring it
    monkeypatch.setattr(stream, "ingest", fail_once)
    ids = place()
    until(lambda: accepted(ids))
    assert doors() == {"queue"}


def test_a_chain_that_waits_for_a_thread_here_is_not_queued_twice(monkeypatch):
    ran: list[str] = []
    held = threading.Event()

    class Task:
        def __call__(self, name: str) -> None:
            held.wait(5)
            ran.append(name)

    monkeypatch.setitem(current_app.tasks, "test.step", Task())
    dispatcher.broker_is_up = lambda: False
    for _ in range(50):
        dispatcher.send([("test.step", ["busy"])])
    held.set()
    dispatcher.drain()
    assert 1 <= len(ran) <= 10
