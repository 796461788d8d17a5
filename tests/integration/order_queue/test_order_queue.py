"""The order queue on a real database: who shares a commit, and what each caller is told."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import Future

import pytest
from django.db import DataError, connection

from counter.models import SyncOrder
from counter.orders import queue as queues
from counter.orders.placing import BatchTooLarge
from counter.orders.queue import OutcomeUnknown, QueueFull
from counter.orders.requests import Accepted, RejectCode, Rejected
from tests.support.factories import make_customer
from tests.support.queueing import SOON, accepted, opening, until, writer_busy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("patient")]


@pytest.fixture
def loop():
    """An event loop that runs on a thread of its own."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join()
    running.close()


# --- who shares a commit --------------------------------------------------------------------------------------------


def test_a_lone_order_is_committed_when_its_caller_hears_of_it(order_queue, option):
    order = accepted(order_queue.place([opening(option)]))
    assert SyncOrder.objects.filter(pk=order.id, state="PENDING").exists()


def test_a_lone_order_of_a_coroutine_too(order_queue, option):
    order = accepted(asyncio.run(order_queue.place_soon([opening(option)])))
    assert SyncOrder.objects.filter(pk=order.id).exists()


def test_what_gathers_during_a_commit_shares_the_next(order_queue, pool, loop, option):
    requests = [opening(option) for _ in range(20)]
    with writer_busy(order_queue, pool, option) as (first, _):
        waiting: list[Future] = [pool.submit(order_queue.place, [request]) for request in requests[:10]]
        waiting += [
            asyncio.run_coroutine_threadsafe(order_queue.place_soon([request]), loop)
            for request in requests[10:]
        ]
        until(lambda: order_queue._queue.weight == 20)
        assert not any(future.done() for future in waiting)
    alone = accepted(first.result(SOON))
    orders = [accepted(future.result(SOON)) for future in waiting]
    for request, order in zip(requests, orders, strict=True):
        assert (order.customer_id, order.client_order_id) == (request.customer_id, request.client_order_id)
    assert len({order.placed_at for order in orders}) == 1
    assert orders[0].placed_at > alone.placed_at
    with connection.cursor() as cursor:  # one transaction wrote them all
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM counter_syncorder WHERE id <> %s", [alone.id])
        assert cursor.fetchone() == (1,)


def answered_together(order_queue, pool, option, callers):
    """Have so many callers answered by one commit."""
    with writer_busy(order_queue, pool, option):
        waiting = [pool.submit(order_queue.place, [opening(option)]) for _ in range(callers)]
        until(lambda: order_queue._queue.weight == callers)
    assert len({accepted(future.result(SOON)).placed_at for future in waiting}) == 1


def test_who_was_answered_together_shares_the_next_commit(order_queue, pool, option, monkeypatch):
    monkeypatch.setattr(queues, "CROWD_RETURNS_WITHIN_SECONDS", SOON)
    answered_together(order_queue, pool, option, 8)
    waiting = [pool.submit(order_queue.place, [opening(option)]) for _ in range(7)]
    until(lambda: order_queue._queue.weight == 7)
    assert not any(future.done() for future in waiting)
    waiting.append(
        pool.submit(order_queue.place, [opening(option)])
    )  # the last to be back: nobody waits any longer
    assert len({accepted(future.result(SOON)).placed_at for future in waiting}) == 1


def test_nobody_waits_long_for_those_who_do_not_come_back(order_queue, pool, option, monkeypatch):
    monkeypatch.setattr(queues, "CROWD_RETURNS_WITHIN_SECONDS", 0.05)
    answered_together(order_queue, pool, option, 8)
    accepted(order_queue.place([opening(option)]))
    monkeypatch.setattr(queues, "CROWD_RETURNS_WITHIN_SECONDS", SOON)
    accepted(order_queue.place([opening(option)]))  # one was answered last, and one waits for nobody


def test_a_crowd_that_fills_a_transaction_is_not_waited_for(order_queue, pool, option, monkeypatch, settings):
    monkeypatch.setattr(queues, "CROWD_RETURNS_WITHIN_SECONDS", SOON)
    answered_together(order_queue, pool, option, 8)
    settings.MAX_BATCH_ORDERS = 4
    first = pool.submit(order_queue.place, [opening(option) for _ in range(4)])
    assert len(first.result(SOON / 2)) == 4


def test_a_gate_that_waits_for_its_crowd_can_be_stopped(order_queue, pool, option, monkeypatch):
    monkeypatch.setattr(queues, "CROWD_RETURNS_WITHIN_SECONDS", 60.0)
    answered_together(order_queue, pool, option, 8)
    waiting = pool.submit(order_queue.place, [opening(option)])
    until(lambda: order_queue._queue.weight == 1)
    order_queue.stop()
    accepted(waiting.result(SOON))


def test_entries_beyond_what_one_transaction_holds_take_the_next(order_queue, pool, option, settings):
    settings.MAX_BATCH_ORDERS = 3
    with writer_busy(order_queue, pool, option):
        pairs = [[opening(option), opening(option)] for _ in range(3)]
        waiting = [pool.submit(order_queue.place, pair) for pair in pairs]
        until(lambda: order_queue._queue.weight == 6)
    placed_at = [outcome.order.placed_at for future in waiting for outcome in future.result(SOON)]
    assert sorted(Counter(placed_at).values()) == [2, 2, 2]


def test_each_caller_gets_its_own_outcome(order_queue, pool, option):
    poor = make_customer(balance="1")
    requests = [opening(option) for _ in range(9)]
    requests[3:3] = [opening(option, poor), opening(option, symbol="NO-SUCH")]
    with writer_busy(order_queue, pool, option):
        waiting = [pool.submit(order_queue.place, [request]) for request in requests]
        until(lambda: order_queue._queue.weight == len(requests))
    outcomes = [outcome for future in waiting for outcome in future.result(SOON)]
    codes = [outcome.code if isinstance(outcome, Rejected) else "accepted" for outcome in outcomes]
    assert codes == [
        *["accepted"] * 3,
        RejectCode.INSUFFICIENT_BALANCE,
        RejectCode.OPTION_NOT_FOUND,
        *["accepted"] * 6,
    ]
    for request, outcome in zip(requests, outcomes, strict=True):
        if isinstance(outcome, Accepted):
            assert outcome.order.client_order_id == request.client_order_id


def test_one_order_that_the_database_refuses_does_not_take_the_others_with_it(order_queue, pool, option):
    requests = [opening(option) for _ in range(7)]
    requests[4] = opening(option, client_order_id="x" * 65)  # one character more than the column holds
    with writer_busy(order_queue, pool, option):
        waiting = [pool.submit(order_queue.place, [request]) for request in requests]
        until(lambda: order_queue._queue.weight == len(requests))
    with pytest.raises(DataError):
        waiting.pop(4).result(SOON)
    assert all(accepted(future.result(SOON)) for future in waiting)
    assert SyncOrder.objects.count() == 7


# --- what is not reached, and what is not heard of ------------------------------------------------------------------


def test_more_orders_than_one_transaction_holds_are_refused(order_queue, option, settings):
    settings.MAX_BATCH_ORDERS = 2
    with pytest.raises(BatchTooLarge):
        order_queue.place([opening(option)] * 3)


def test_a_full_gate_refuses_at_once_and_has_room_again(order_queue, pool, option, monkeypatch):
    monkeypatch.setattr(queues, "WAITING_ORDERS", 3)
    with writer_busy(order_queue, pool, option):
        waiting = [pool.submit(order_queue.place, [opening(option)]) for _ in range(3)]
        until(lambda: order_queue._queue.weight == 3)
        late = opening(option)
        with pytest.raises(QueueFull):
            order_queue.place([late])
        with pytest.raises(QueueFull):
            asyncio.run(order_queue.place_soon([late]))
        assert order_queue._queue.weight == len(order_queue._queue) == 3
    assert all(accepted(future.result(SOON)) for future in waiting)
    assert accepted(order_queue.place([late]))


@pytest.fixture
def impatient(settings):
    settings.ORDER_WITHIN_SECONDS = 1.0


def place_in(door, order_queue, requests):
    return order_queue.place(requests) if door == "thread" else asyncio.run(order_queue.place_soon(requests))


@pytest.mark.parametrize("door", ["thread", "coroutine"])
def test_an_order_that_is_not_reached_in_time_is_taken_back(order_queue, pool, option, impatient, door):
    request = opening(option)
    with writer_busy(order_queue, pool, option) as (first, _):
        with pytest.raises(QueueFull):
            place_in(door, order_queue, [request])
        assert order_queue._queue.weight == len(order_queue._queue) == 0
        with pytest.raises(OutcomeUnknown):
            first.result(SOON)
    order_queue.stop()
    assert not SyncOrder.objects.filter(client_order_id=request.client_order_id).exists()


def test_an_order_that_was_begun_is_not_placed_after_its_time(order_queue, pool, option, impatient):
    with writer_busy(order_queue, pool, option) as (first, request), pytest.raises(OutcomeUnknown):
        first.result(SOON)
    order_queue.stop()
    assert not SyncOrder.objects.exists()
    [again] = order_queue.place([request])
    assert not again.replayed


def test_a_coroutine_that_is_cancelled_leaves_the_others_their_answers(order_queue, pool, loop, option):
    requests = [opening(option) for _ in range(3)]
    with writer_busy(order_queue, pool, option):
        waiting = [asyncio.run_coroutine_threadsafe(order_queue.place_soon([one]), loop) for one in requests]
        until(lambda: order_queue._queue.weight == 3)
        assert waiting[1].cancel()
    assert accepted(waiting[0].result(SOON))
    assert accepted(waiting[2].result(SOON))
    [again] = order_queue.place([requests[1]])
    assert not again.replayed  # its attempt ended with it


def test_a_loop_that_has_ended_takes_nobody_with_it(order_queue, pool, option):
    request = opening(option)

    async def leave():
        task = asyncio.create_task(order_queue.place_soon([request]))
        await asyncio.sleep(0)  # it waits in the queue, and is cancelled by the end of its loop
        assert not task.done()

    with writer_busy(order_queue, pool, option) as (first, _):
        asyncio.run(leave())
        other = pool.submit(order_queue.place, [opening(option)])
        until(lambda: order_queue._queue.weight == 1)
    assert accepted(first.result(SOON))
    assert accepted(other.result(SOON))
    assert SyncOrder.objects.count() == 2


def test_a_waiting_coroutine_does_not_hold_its_loop_up(order_queue, pool, loop, option):
    async def breathe():
        await asyncio.sleep(0)
        return "alive"

    with writer_busy(order_queue, pool, option):
        waiting = asyncio.run_coroutine_threadsafe(order_queue.place_soon([opening(option)]), loop)
        until(lambda: order_queue._queue.weight == 1)
        assert asyncio.run_coroutine_threadsafe(breathe(), loop).result(SOON) == "alive"
    assert accepted(waiting.result(SOON))
