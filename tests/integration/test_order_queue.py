"""The gate on a real database: who shares a commit, and what each caller is told."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import DataError, connection

from counter.models import SyncOrder
from counter.ordering import gate as gates
from counter.ordering.gate import Gate, GateFull, OutcomeUnknown
from counter.ordering.order_requests import Accepted, RejectCode, Rejected
from counter.ordering.orders import BatchTooLarge
from tests.support.factories import make_customer, make_option
from tests.support.gating import SOON, accepted, opening, until, writer_busy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def option():
    return make_option()


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.stop()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(32) as threads:
        yield threads


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


def test_a_lone_order_is_committed_when_its_caller_hears_of_it(gate, option):
    order = accepted(gate.place([opening(option)]))
    assert SyncOrder.objects.filter(pk=order.id, state="PENDING").exists()


def test_a_lone_order_of_a_coroutine_too(gate, option):
    order = accepted(asyncio.run(gate.place_soon([opening(option)])))
    assert SyncOrder.objects.filter(pk=order.id).exists()


def test_what_gathers_during_a_commit_shares_the_next(gate, pool, loop, option):
    requests = [opening(option) for _ in range(20)]
    with writer_busy(gate, pool, option) as (first, _):
        waiting: list[Future] = [pool.submit(gate.place, [request]) for request in requests[:10]]
        waiting += [
            asyncio.run_coroutine_threadsafe(gate.place_soon([request]), loop) for request in requests[10:]
        ]
        until(lambda: gate._waiting_orders == 20)
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


def answered_together(gate, pool, option, callers):
    """Have so many callers answered by one commit."""
    with writer_busy(gate, pool, option):
        waiting = [pool.submit(gate.place, [opening(option)]) for _ in range(callers)]
        until(lambda: gate._waiting_orders == callers)
    assert len({accepted(future.result(SOON)).placed_at for future in waiting}) == 1


def test_who_was_answered_together_shares_the_next_commit(gate, pool, option, monkeypatch):
    monkeypatch.setattr(gates, "CROWD_RETURNS_WITHIN_SECONDS", SOON)
    answered_together(gate, pool, option, 8)
    waiting = [pool.submit(gate.place, [opening(option)]) for _ in range(7)]
    until(lambda: gate._waiting_orders == 7)
    assert not any(future.done() for future in waiting)
    waiting.append(pool.submit(gate.place, [opening(option)]))  # the last to be back: nobody waits any longer
    assert len({accepted(future.result(SOON)).placed_at for future in waiting}) == 1


def test_nobody_waits_long_for_those_who_do_not_come_back(gate, pool, option, monkeypatch):
    monkeypatch.setattr(gates, "CROWD_RETURNS_WITHIN_SECONDS", 0.05)
    answered_together(gate, pool, option, 8)
    accepted(gate.place([opening(option)]))
    monkeypatch.setattr(gates, "CROWD_RETURNS_WITHIN_SECONDS", SOON)
    accepted(gate.place([opening(option)]))  # one was answered last, and one waits for nobody


def test_a_crowd_that_fills_a_transaction_is_not_waited_for(gate, pool, option, monkeypatch, settings):
    monkeypatch.setattr(gates, "CROWD_RETURNS_WITHIN_SECONDS", SOON)
    answered_together(gate, pool, option, 8)
    settings.MAX_BATCH_ORDERS = 4
    first = pool.submit(gate.place, [opening(option) for _ in range(4)])
    assert len(first.result(SOON / 2)) == 4


def test_a_gate_that_waits_for_its_crowd_can_be_stopped(gate, pool, option, monkeypatch):
    monkeypatch.setattr(gates, "CROWD_RETURNS_WITHIN_SECONDS", 60.0)
    answered_together(gate, pool, option, 8)
    waiting = pool.submit(gate.place, [opening(option)])
    until(lambda: gate._waiting_orders == 1)
    gate.stop()
    accepted(waiting.result(SOON))


def test_entries_beyond_what_one_transaction_holds_take_the_next(gate, pool, option, settings):
    settings.MAX_BATCH_ORDERS = 3
    with writer_busy(gate, pool, option):
        pairs = [[opening(option), opening(option)] for _ in range(3)]
        waiting = [pool.submit(gate.place, pair) for pair in pairs]
        until(lambda: gate._waiting_orders == 6)
    placed_at = [outcome.order.placed_at for future in waiting for outcome in future.result(SOON)]
    assert sorted(Counter(placed_at).values()) == [2, 2, 2]


def test_each_caller_gets_its_own_outcome(gate, pool, option):
    poor = make_customer(balance="1")
    requests = [opening(option) for _ in range(9)]
    requests[3:3] = [opening(option, poor), opening(option, symbol="NO-SUCH")]
    with writer_busy(gate, pool, option):
        waiting = [pool.submit(gate.place, [request]) for request in requests]
        until(lambda: gate._waiting_orders == len(requests))
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


def test_one_order_that_the_database_refuses_does_not_take_the_others_with_it(gate, pool, option):
    requests = [opening(option) for _ in range(7)]
    requests[4] = opening(option, client_order_id="x" * 65)  # one character more than the column holds
    with writer_busy(gate, pool, option):
        waiting = [pool.submit(gate.place, [request]) for request in requests]
        until(lambda: gate._waiting_orders == len(requests))
    with pytest.raises(DataError):
        waiting.pop(4).result(SOON)
    assert all(accepted(future.result(SOON)) for future in waiting)
    assert SyncOrder.objects.count() == 7


# --- what is not reached, and what is not heard of ------------------------------------------------------------------


def test_more_orders_than_one_transaction_holds_are_refused(gate, option, settings):
    settings.MAX_BATCH_ORDERS = 2
    with pytest.raises(BatchTooLarge):
        gate.place([opening(option)] * 3)


def test_a_full_gate_refuses_at_once_and_has_room_again(gate, pool, option, monkeypatch):
    monkeypatch.setattr(gates, "WAITING_ORDERS", 3)
    with writer_busy(gate, pool, option):
        waiting = [pool.submit(gate.place, [opening(option)]) for _ in range(3)]
        until(lambda: gate._waiting_orders == 3)
        late = opening(option)
        with pytest.raises(GateFull):
            gate.place([late])
        with pytest.raises(GateFull):
            asyncio.run(gate.place_soon([late]))
        assert gate._waiting_orders == len(gate._waiting) == 3
    assert all(accepted(future.result(SOON)) for future in waiting)
    assert accepted(gate.place([late]))


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(gates, "ANSWER_WITHIN_SECONDS", 0.3)


def place_in(door, gate, requests):
    return gate.place(requests) if door == "thread" else asyncio.run(gate.place_soon(requests))


@pytest.mark.parametrize("door", ["thread", "coroutine"])
def test_an_order_that_is_not_reached_in_time_is_taken_back(gate, pool, option, impatient, door):
    request = opening(option)
    with writer_busy(gate, pool, option) as (first, _):
        with pytest.raises(GateFull):
            place_in(door, gate, [request])
        assert gate._waiting_orders == len(gate._waiting) == 0
        with pytest.raises(OutcomeUnknown):
            first.result(SOON)
    gate.stop()
    assert not SyncOrder.objects.filter(client_order_id=request.client_order_id).exists()


def test_an_answer_lost_on_the_way_is_found_again_by_the_client_order_id(gate, pool, option, impatient):
    with writer_busy(gate, pool, option) as (first, request), pytest.raises(OutcomeUnknown):
        first.result(SOON)
    [again] = gate.place([request])
    assert again.replayed
    assert again.order.id == SyncOrder.objects.get().pk


def test_a_coroutine_that_is_cancelled_leaves_the_others_their_answers(gate, pool, loop, option):
    requests = [opening(option) for _ in range(3)]
    with writer_busy(gate, pool, option):
        waiting = [asyncio.run_coroutine_threadsafe(gate.place_soon([one]), loop) for one in requests]
        until(lambda: gate._waiting_orders == 3)
        assert waiting[1].cancel()
    assert accepted(waiting[0].result(SOON))
    assert accepted(waiting[2].result(SOON))
    [again] = gate.place([requests[1]])
    assert again.replayed


def test_a_loop_that_has_ended_takes_nobody_with_it(gate, pool, option):
    request = opening(option)

    async def leave():
        task = asyncio.create_task(gate.place_soon([request]))
        await asyncio.sleep(0)  # it waits at the gate, and is cancelled by the end of its loop
        assert not task.done()

    with writer_busy(gate, pool, option) as (first, _):
        asyncio.run(leave())
        other = pool.submit(gate.place, [opening(option)])
        until(lambda: gate._waiting_orders == 2)
    assert accepted(first.result(SOON))
    assert accepted(other.result(SOON))
    assert SyncOrder.objects.count() == 3


def test_a_waiting_coroutine_does_not_hold_its_loop_up(gate, pool, loop, option):
    async def breathe():
        await asyncio.sleep(0)
        return "alive"

    with writer_busy(gate, pool, option):
        waiting = asyncio.run_coroutine_threadsafe(gate.place_soon([opening(option)]), loop)
        until(lambda: gate._waiting_orders == 1)
        assert asyncio.run_coroutine_threadsafe(breathe(), loop).result(SOON) == "alive"
    assert accepted(waiting.result(SOON))
