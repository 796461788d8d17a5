"""The order queue when its database or writer goes, and when it is stopped: nobody is left waiting, and it recovers."""

import threading
import time
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection, transaction

from counter.models import SyncOrder
from counter.orders import queue as queues
from counter.orders.placing import place_orders
from counter.orders.queue import OrderQueue, OutcomeUnknown, QueueFull
from counter.orders.requests import Accepted
from tests.support.databases import held_account, waiting_for_a_lock
from tests.support.factories import make_customer
from tests.support.queueing import SOON, accepted, opening, until, writer_busy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("patient")]


# --- what dies ------------------------------------------------------------------------------------------------------


def test_a_backend_that_is_ended_fails_those_who_wait_and_the_next_order_is_placed(order_queue, pool, option):
    with writer_busy(order_queue, pool, option) as (first, request):
        behind = pool.submit(order_queue.place, [opening(option)])
        until(lambda: order_queue._queue.weight == 1)
        [pid] = waiting_for_a_lock()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(OutcomeUnknown):
            first.result(SOON)
        assert accepted(behind.result(SOON))
    assert not SyncOrder.objects.filter(client_order_id=request.client_order_id).exists()
    assert accepted(order_queue.place([request]))


def test_callers_who_fail_together_have_errors_of_their_own(pool, option):
    go = threading.Event()

    def place(*, requests, now, until):
        assert go.wait(SOON)
        raise OperationalError("the server closed the connection")

    order_queue = OrderQueue(place=place)
    waiting = [pool.submit(order_queue.place, [opening(option)]) for _ in range(5)]
    until(lambda: order_queue._queue.weight == 4)
    go.set()
    errors = [future.exception(SOON) for future in waiting]
    order_queue.stop()
    assert {type(error) for error in errors} == {OutcomeUnknown}
    assert len({id(error) for error in errors}) == 5


class Death(BaseException):
    """Ends a thread even if it catches exceptions."""


@pytest.mark.timed
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_dies_is_replaced_and_nobody_waits_for_it(pool, option, settings):
    writers, dying, go = [], threading.Event(), threading.Event()

    def place(*, requests, now, until):
        writers.append(threading.current_thread())
        if len(writers) == 1:
            dying.set()
            assert go.wait(SOON)
            raise Death
        return place_orders(requests=requests, now=now)

    order_queue = OrderQueue(place=place)
    first = pool.submit(order_queue.place, [opening(option)])
    assert dying.wait(SOON)
    behind = pool.submit(order_queue.place, [opening(option)])
    until(lambda: order_queue._queue.weight == 1)
    started = time.monotonic()
    go.set()
    with pytest.raises(OutcomeUnknown):
        first.result(SOON)
    assert accepted(behind.result(SOON))  # though no further order came to start a writer
    assert time.monotonic() - started < settings.ORDER_WITHIN_SECONDS
    assert accepted(order_queue.place([opening(option)]))
    order_queue.stop()
    assert writers[1] is writers[2] is not writers[0]


def test_an_order_that_no_writer_can_be_started_for_is_not_left_in_the_queue(
    order_queue, option, monkeypatch
):
    def no_thread(self):
        raise RuntimeError("can't start new thread")

    request = opening(option)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            order_queue.place([request])
    assert order_queue._queue.weight == len(order_queue._queue) == 0
    [outcome] = order_queue.place([request])
    assert not outcome.replayed


def test_a_transaction_that_loses_a_deadlock_is_tried_again(pool, option):
    """The writer holds one account and waits for another, whose holder then asks for the first."""
    low, high = sorted((make_customer(), make_customer()), key=lambda customer: customer.account.pk)
    tries = []

    def place(*, requests, now, until):
        tries.append(now)
        with transaction.atomic():
            if len(tries) == 1:  # else the other transaction might be the one that is undone
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL deadlock_timeout = '500ms'")
            return place_orders(requests=requests, now=now)

    order_queue = OrderQueue(place=place)
    with patch.object(queues, "LOCK_WITHIN", "20s"), held_account(high.pk) as holding:
        future = pool.submit(order_queue.place, [opening(option, low), opening(option, high)])
        until(waiting_for_a_lock)
        holding.execute("SET LOCAL deadlock_timeout = '10s'")
        asking = pool.submit(
            holding.execute, "SELECT 1 FROM counter_account WHERE customer_id = %s FOR UPDATE", [low.pk]
        )
        asking.result(SOON)
        holding.rollback()
    assert [type(outcome) for outcome in future.result(SOON)] == [Accepted, Accepted]
    order_queue.stop()
    assert len(tries) >= 2  # once more whenever it comes to the freed row before who has waited for it
    assert SyncOrder.objects.count() == 2


def test_orders_do_not_fail_because_prepared_statements_are_gone(option):
    seen = []

    def place(*, requests, now, until):
        seen.append(len(requests))
        if len(seen) == 2:
            with connection.cursor() as cursor:
                cursor.execute("DEALLOCATE ALL")
        return place_orders(requests=requests, now=now)

    order_queue = OrderQueue(place=place)
    try:
        for _ in range(3):
            assert accepted(order_queue.place([opening(option)]))
    finally:
        order_queue.stop()
    assert len(seen) == 4  # the second was tried twice


def test_a_transaction_that_is_undone_again_and_again_is_given_up(option):
    tries = []

    def place(*, requests, now, until):
        tries.append(now)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'undone' USING ERRCODE = '40001'; END $$")

    order_queue = OrderQueue(place=place)
    with pytest.raises(OutcomeUnknown):
        order_queue.place([opening(option)])
    order_queue.stop()
    assert len(tries) == queues.TRIES


# --- ending ---------------------------------------------------------------------------------------------------------


def is_connected(pid):
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.rowcount == 1


def test_stopping_commits_what_waits_and_ends_the_connection(order_queue, pool, option):
    with writer_busy(order_queue, pool, option) as (first, _):
        [pid] = waiting_for_a_lock()
        behind = pool.submit(order_queue.place, [opening(option)])
        until(lambda: order_queue._queue.weight == 1)
        stopping = pool.submit(order_queue.stop)
        until(lambda: order_queue._queue._worker is None)
        assert not stopping.done()
    stopping.result(SOON)
    assert accepted(first.result(SOON))
    assert accepted(behind.result(SOON))
    until(lambda: not is_connected(pid))
    order_queue.stop()


def test_orders_that_arrive_while_it_stops_are_placed_by_the_next_writer(order_queue, option, pool):
    stop = threading.Event()

    def keep_stopping():
        while not stop.is_set():
            order_queue.stop()

    stopping = pool.submit(keep_stopping)
    customers = [make_customer() for _ in range(8)]

    def place_some(customer):
        return [accepted(order_queue.place([opening(option, customer)])).client_order_id for _ in range(10)]

    try:
        placed = list(pool.map(place_some, customers))
    finally:
        stop.set()
        stopping.result(SOON)
    assert SyncOrder.objects.count() == sum(map(len, placed)) == 80


def test_an_account_that_somebody_else_holds_stops_its_own_orders_only(order_queue, pool, option):
    customer = make_customer()
    with held_account(customer.pk):
        held = pool.submit(order_queue.place, [opening(option, customer)])
        until(lambda: waiting_for_a_lock())
        others = [pool.submit(order_queue.place, [opening(option)]) for _ in range(3)]
        behind = pool.submit(order_queue.place, [opening(option, customer)])
        assert isinstance(held.exception(SOON), QueueFull)
        assert all(accepted(other.result(SOON)) for other in others)
        assert isinstance(behind.exception(SOON), QueueFull)
    assert accepted(order_queue.place([opening(option, customer)]))
