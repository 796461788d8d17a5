"""The intake process with each broker: orders come in by it, and go on coming in and being settled whatever it does."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from io import StringIO
from typing import Any

import pytest
from celery import current_app
from django.core.management import call_command
from django.db import connections

from acceptance import counter_client
from acceptance import dead_letters as dead
from acceptance.dead_letters import dead_letters
from acceptance.models import AcceptedOrder, Conflict
from acceptance.stream import IntakeProcess
from chaos.proxy import Line
from config import broker as brokers
from config.broker import dispatcher, sync_queue
from config.leadership import Leadership, Term
from counter import outbox
from counter.contracts import SyncBatch, SyncEvent, encode
from counter.models import SyncOrder
from settlement.venues import ccxt_venue
from tests.support.brokers import Broker, rabbitmq
from tests.support.desk_bench import event, order_states
from tests.support.factories import make_customer, make_option, place_open

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

SOON_SECONDS = (
    10.0  # generous for a machine that does other things; what is fast is asserted where it matters
)
PULLED_WITHIN_SECONDS = 2.0


def until(holds: Callable[[], Any], *, within: float = SOON_SECONDS) -> float:
    """Wait until something holds; how long it took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < within, "it did not come to hold"
        time.sleep(0.01)
    return time.monotonic() - started


@pytest.fixture(scope="module", params=["valkey", "rabbitmq"])
def url(request: pytest.FixtureRequest, broker: str) -> Iterator[str]:
    """Each broker in turn."""
    if request.param == "valkey":
        yield broker
        return
    with rabbitmq() as made:
        yield made


@pytest.fixture
def mq(two_systems: None, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """The broker, empty, and the way of this process to it."""
    made = Broker(url)
    with made.in_use(monkeypatch):
        made.wipe()
        monkeypatch.setattr(outbox, "publisher", outbox.Publisher())
        yield made


@pytest.fixture
def term(two_systems: None) -> Iterator[Term]:
    """This process leads."""
    leadership = Leadership("intake", using="desk")
    leadership.start()
    until(lambda: leadership.term)
    assert leadership.term
    yield leadership.term
    leadership.stop()


@pytest.fixture
def intake(
    term: Term,
    mq: Broker,
    venue: Any,
    live_server: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[IntakeProcess]:
    """The intake process on threads of this one, between the real counter, broker and venue."""
    settings.COUNTER_URL = live_server.url
    monkeypatch.setattr(ccxt_venue, "_venue", venue)
    process = IntakeProcess(term)
    process.start()
    until(process.broker_up.is_set)
    yield process
    process.stop()


@pytest.fixture
def queue_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is pulled: what comes in came by the queue."""
    monkeypatch.setattr(counter_client, "pull", lambda **_: [])


def place(count: int = 3) -> list[int]:
    option, customer = make_option(), make_customer()
    return [place_open(customer, option).id for _ in range(count)]


def doors() -> set[str]:
    return set(AcceptedOrder.objects.values_list("door", flat=True))


def accepted(ids: list[int]) -> bool:
    return set(AcceptedOrder.objects.values_list("order_id", flat=True)) >= set(ids)


def acknowledged() -> bool:
    return not SyncOrder.objects.filter(state="PENDING").exists()


def batch(*events: SyncEvent) -> bytes:
    return encode(SyncBatch(events=list(events)))


def flows_by_the_queue() -> bool:
    """Whether a new order comes by a message: the publisher drops what it is given until it has come back."""
    [order_id] = place(1)
    until(lambda: accepted([order_id]))
    return AcceptedOrder.objects.get(order_id=order_id).door == "queue"


# --- while all is well ----------------------------------------------------------------------------------------------


def test_what_counter_publishes_is_taken_in_and_acknowledged(intake, mq):
    ids = place()
    until(lambda: accepted(ids))
    assert doors() == {"queue"}
    until(acknowledged)
    until(lambda: mq.depth("convert") >= 1)  # the settlement is the workers'
    assert order_states() == {"RECEIVED"}


def test_delivered_twice_and_out_of_order_each_is_taken_in_once(intake, mq, queue_only):
    events = [event() for _ in range(40)]
    messages = [
        batch(*events[first : first + 4]) for first in range(0, 40, 2)
    ]  # each event is in two of them
    mq.publish(*random.Random(7).sample(messages * 2, len(messages) * 2))
    until(lambda: accepted([each.order_id for each in events]))
    until(lambda: mq.depth(sync_queue().name) == 0)
    assert AcceptedOrder.objects.count() == 40
    assert not Conflict.objects.exists()
    assert dead_letters() == []


# --- a broker that fails --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("failure", [Line.CUT, Line.HUNG])
def test_without_a_broker_orders_are_taken_pulled_and_settled_and_all_returns_to_normal(intake, mq, failure):
    place(1)
    until(lambda: doors() == {"queue"})
    mq.line.set(failure)
    option, customer = make_option(), make_customer()
    ids, slowest = [], 0.0
    for _ in range(20):
        started = time.monotonic()
        ids.append(place_open(customer, option).id)
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 0.5  # BROKER_TIMEOUT_SECONDS if they waited for it
    assert until(lambda: accepted(ids)) < PULLED_WITHIN_SECONDS
    until(lambda: not intake.broker_up.is_set())
    more = place()
    assert until(lambda: accepted(more)) < PULLED_WITHIN_SECONDS
    until(lambda: order_states() == {"REPORTED"}, within=20.0)
    assert set(SyncOrder.objects.values_list("state", flat=True)) == {"SETTLED"}

    mq.line.set(Line.UP)
    until(intake.broker_up.is_set)
    until(flows_by_the_queue)
    until(lambda: mq.depth("convert") >= 1)


def test_what_was_left_before_is_resumed_at_the_start_though_the_broker_hangs(
    term, mq, venue, live_server, settings, monkeypatch
):
    settings.COUNTER_URL = live_server.url
    monkeypatch.setattr(ccxt_venue, "_venue", venue)
    mq.line.set(Line.HUNG)
    ids = place()
    process = IntakeProcess(term)
    process.start()
    try:
        assert until(lambda: accepted(ids) and order_states() == {"REPORTED"}) < 5.0
    finally:
        process.stop()


def test_a_broker_that_lost_everything_carries_orders_again(intake, mq):
    place(1)
    until(lambda: doors() == {"queue"})
    mq.wipe()
    ids = place()
    assert until(lambda: accepted(ids)) < PULLED_WITHIN_SECONDS
    until(flows_by_the_queue)


# --- poison ---------------------------------------------------------------------------------------------------------

UNREADABLE = (b"{", b'{"events": [{}]}', b"\xff", b"[" * 100_000, b'{"events": [], "version": 2}')


@pytest.fixture
def refused() -> Iterator[Callable[[str, str], None]]:
    """Have the database refuse orders of a symbol, with an error that it calls by the given name."""

    def refuse(symbol: str, sqlstate: str) -> None:
        with connections["desk"].cursor() as cursor:
            cursor.execute(
                f"""
                CREATE SEQUENCE refusals;
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF NEW.symbol = '{symbol}' AND ('{sqlstate}' < '57000' OR nextval('refusals') <= 2) THEN
                        RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}';
                    END IF;
                    RETURN NEW;
                END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON acceptance_acceptedorder
                FOR EACH ROW EXECUTE FUNCTION refuse();
                """
            )

    yield refuse
    with connections["desk"].cursor() as cursor:
        cursor.execute("DROP FUNCTION IF EXISTS refuse() CASCADE; DROP SEQUENCE IF EXISTS refusals")


def test_messages_that_cannot_be_read_become_dead_letters_and_stop_no_others(intake, mq, queue_only):
    mq.publish(*UNREADABLE, batch(event(coin="1E+15")))
    mq.publish(b"x", content_type="application/x-python-serialize")
    ids = place()
    until(lambda: accepted(ids))
    until(lambda: len(dead_letters()) == 6)
    assert {letter.body for letter in dead_letters()} == {*UNREADABLE, b"x"}
    assert [conflict.reason for conflict in Conflict.objects.all()] == ["invalid"]  # readable: kept aside
    until(lambda: mq.depth(sync_queue().name) == 0 and mq.unacknowledged() == 0)


@pytest.mark.parametrize(
    "sqlstate", ["22003", "23514", "54000"]
)  # out of range, a check, too large a statement
def test_what_the_database_refuses_becomes_a_dead_letter_and_can_be_sent_again(
    intake, mq, queue_only, refused, sqlstate
):
    refused("POISON", sqlstate)
    good = [event() for _ in range(9)]
    poison = event(symbol="POISON")
    messages = [batch(each) for each in good]
    messages.insert(4, batch(poison, good[0]))
    mq.publish(*messages)
    until(lambda: accepted([each.order_id for each in good]))
    until(lambda: len(dead_letters()) == 1)
    [letter] = dead_letters()
    assert letter.body == batch(poison, good[0])
    assert "refused" in letter.reason
    until(lambda: mq.depth(sync_queue().name) == 0 and mq.unacknowledged() == 0)

    with connections["desk"].cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse ON acceptance_acceptedorder")
    said = StringIO()
    call_command("dead_letters", stdout=said)
    assert "refused" in said.getvalue()
    call_command("dead_letters", "--replay", stdout=said)
    until(lambda: accepted([poison.order_id]))
    assert dead_letters() == []
    assert AcceptedOrder.objects.count() == 10


def test_a_database_that_is_away_makes_no_dead_letters(intake, mq, queue_only, refused):
    refused("LATE", "57P03")  # twice
    late = event(symbol="LATE")
    mq.publish(batch(late), batch(event()))
    until(lambda: accepted([late.order_id]))
    assert dead_letters() == []


def test_of_too_many_dead_letters_the_oldest_go(intake, mq, monkeypatch):
    monkeypatch.setattr(brokers, "DEAD_LETTERS", 3)
    monkeypatch.setattr(dead, "DEAD_LETTERS", 3)
    mq.publish(*(str(number).encode() for number in range(5)))
    until(lambda: mq.depth(sync_queue().name) == 0)
    for _ in range(2):  # looking takes none away
        until(lambda: [letter.body for letter in dead_letters()] == [b"2", b"3", b"4"])
    call_command("dead_letters", "--discard", stdout=StringIO())
    assert dead_letters() == []


# --- chains ---------------------------------------------------------------------------------------------------------


def test_a_chain_that_waits_for_a_thread_here_is_not_queued_twice(monkeypatch):
    ran: list[str] = []
    held = threading.Event()

    class Task:
        def __call__(self, name: str) -> None:
            held.wait(5)
            ran.append(name)

    monkeypatch.setitem(current_app.tasks, "test.step", Task())
    dispatcher.fall_back(broker_is_up=lambda: False, acting=nullcontext)
    for _ in range(50):
        dispatcher.send([("test.step", ["busy"])])
    held.set()
    dispatcher.drain()
    assert 1 <= len(ran) <= 10
