"""The intake process with each broker: orders come in by it, and go on coming in and being settled when it fails."""

import random
import threading
import time
from collections import Counter
from contextlib import nullcontext
from functools import partial

import pytest
from celery import current_app
from django.conf import settings

from acceptance.counter_client import CounterRefused
from acceptance.intake_process import IntakeProcess
from acceptance.models import AcceptedOrder, Conflict
from counter.models import SyncOrder
from infra.broker.connection import message_queue
from infra.broker.dead_letters import dead_letters
from infra.broker.dispatcher import dispatcher
from settlement.venues import ccxt_venue
from tests.support.brokers import task_queue
from tests.support.desk_bench import event, order_states
from tests.support.factories import make_customer, make_option, place_open
from tests.support.streaming import accepted, acknowledged, batch, doors, place, until
from tools.chaos.proxy import Line

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

PULLED_WITHIN_SECONDS = 2.0


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
    until(lambda: mq.depth(task_queue("convert")) >= 1)  # the settlement is the workers'
    assert order_states() == {"RECEIVED"}


def test_delivered_twice_and_out_of_order_each_is_taken_in_once(intake, mq, queue_only):
    events = [event() for _ in range(40)]
    messages = [
        batch(*events[first : first + 4]) for first in range(0, 40, 2)
    ]  # each event is in two of them
    mq.publish(*random.Random(7).sample(messages * 2, len(messages) * 2))
    until(lambda: accepted([each.order_id for each in events]))
    until(lambda: mq.depth(message_queue().name) == 0)
    assert AcceptedOrder.objects.count() == 40
    assert not Conflict.objects.exists()
    assert dead_letters() == []


# --- a broker that fails --------------------------------------------------------------------------------------------


@pytest.mark.timed
@pytest.mark.parametrize("failure", [Line.CUT, Line.HUNG])
def test_without_a_broker_orders_are_taken_pulled_and_settled_and_all_returns_to_normal(
    intake, mq, failure, settings
):
    place(1)
    until(lambda: doors() == {"queue"})
    mq.line.set(failure)
    option, customer = make_option(), make_customer()
    ids, slowest = [], 0.0
    for _ in range(20):
        started = time.monotonic()
        ids.append(place_open(customer, option).id)
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < settings.BROKER_TIMEOUT_SECONDS / 2
    assert until(lambda: accepted(ids)) < PULLED_WITHIN_SECONDS
    until(lambda: not intake.broker_up.is_set())
    more = place()
    assert until(lambda: accepted(more)) < PULLED_WITHIN_SECONDS
    until(lambda: order_states() == {"REPORTED"}, within=20.0)
    assert set(SyncOrder.objects.values_list("state", flat=True)) == {"SETTLED"}

    mq.line.set(Line.UP)
    until(intake.broker_up.is_set)
    until(flows_by_the_queue)
    until(lambda: mq.depth(task_queue("convert")) >= 1)


@pytest.mark.timed
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


def test_a_sweep_that_fails_stops_no_other_while_the_broker_is_away(term, mq, monkeypatch):
    swept: Counter[str] = Counter()

    def sweep(name: str) -> None:
        swept[name] += 1
        if name != "settlement.rebalance":  # the last of them
            raise CounterRefused("400")

    for name in settings.SWEEPS_WITHOUT_BROKER:
        monkeypatch.setitem(current_app.tasks, name, partial(sweep, name))
    mq.line.set(Line.HUNG)
    process = IntakeProcess(term)
    process.start()
    try:
        until(
            lambda: swept.keys() == settings.SWEEPS_WITHOUT_BROKER.keys() and swept["settlement.resume"] > 1
        )
    finally:
        process.stop()


def test_counter_hears_of_the_desk_while_a_sweep_hangs_and_no_worker_works(term, mq, monkeypatch):
    told, hanging = Counter(), threading.Event()
    for name in settings.SWEEPS_WITHOUT_BROKER:
        monkeypatch.setitem(current_app.tasks, name, lambda: hanging.wait(30))
    monkeypatch.setitem(current_app.tasks, "settlement.tell_conditions", lambda: told.update(["told"]))
    process = IntakeProcess(term)
    process.start()
    try:
        until(lambda: told["told"] >= 3)
    finally:
        hanging.set()
        process.stop()


@pytest.mark.timed
def test_a_broker_that_lost_everything_carries_orders_again(intake, mq):
    place(1)
    until(lambda: doors() == {"queue"})
    mq.wipe()
    ids = place()
    assert until(lambda: accepted(ids)) < PULLED_WITHIN_SECONDS
    until(flows_by_the_queue)


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
