"""The gate when its database or its writer goes, and when it is stopped: nobody is left waiting, and it recovers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, transaction

from counter.access.admission import admissions
from counter.models import SyncOrder
from counter.ordering import gate as gates
from counter.ordering.gate import Gate, GateFull, OutcomeUnknown
from counter.ordering.order_requests import Accepted
from counter.ordering.orders import place_orders
from tests.support.databases import held_account, waiting_for_a_lock
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


# --- what dies ------------------------------------------------------------------------------------------------------


def test_a_backend_that_is_ended_fails_those_who_wait_and_the_next_order_is_placed(gate, pool, option):
    with writer_busy(gate, pool, option) as (first, request):
        behind = pool.submit(gate.place, [opening(option)])
        until(lambda: gate._waiting_orders == 1)
        [pid] = waiting_for_a_lock()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(OutcomeUnknown):
            first.result(SOON)
        assert accepted(behind.result(SOON))
    assert not SyncOrder.objects.filter(client_order_id=request.client_order_id).exists()
    assert accepted(gate.place([request]))


def test_callers_who_fail_together_have_errors_of_their_own(pool, option):
    go = threading.Event()

    def place(*, requests, now):
        assert go.wait(SOON)
        raise OperationalError("the server closed the connection")

    gate = Gate(place=place)
    waiting = [pool.submit(gate.place, [opening(option)]) for _ in range(5)]
    until(lambda: gate._waiting_orders == 4)
    go.set()
    errors = [future.exception(SOON) for future in waiting]
    gate.stop()
    assert {type(error) for error in errors} == {OutcomeUnknown}
    assert len({id(error) for error in errors}) == 5


class Death(BaseException):
    """Ends a thread whatever it catches."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_dies_is_replaced_and_nobody_waits_for_it(pool, option):
    writers, dying, go = [], threading.Event(), threading.Event()

    def place(*, requests, now):
        writers.append(threading.current_thread())
        if len(writers) == 1:
            dying.set()
            assert go.wait(SOON)
            raise Death
        return place_orders(requests=requests, now=now)

    gate = Gate(place=place)
    first = pool.submit(gate.place, [opening(option)])
    assert dying.wait(SOON)
    behind = pool.submit(gate.place, [opening(option)])
    until(lambda: gate._waiting_orders == 1)
    started = time.monotonic()
    go.set()
    with pytest.raises(OutcomeUnknown):
        first.result(SOON)
    assert accepted(behind.result(SOON))  # though no further order came to start a writer
    assert time.monotonic() - started < gates.ANSWER_WITHIN_SECONDS
    assert accepted(gate.place([opening(option)]))
    gate.stop()
    assert writers[1] is writers[2] is not writers[0]


def test_an_order_that_no_writer_can_be_started_for_is_not_left_in_the_queue(gate, option, monkeypatch):
    def no_thread(self):
        raise RuntimeError("can't start new thread")

    request = opening(option)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            gate.place([request])
    assert gate._waiting_orders == len(gate._waiting) == 0
    [outcome] = gate.place([request])
    assert not outcome.replayed


def test_a_transaction_that_loses_a_deadlock_is_tried_again(pool, option):
    """The writer holds one account and waits for another, whose holder then asks for the first."""
    low, high = sorted((make_customer(), make_customer()), key=lambda customer: customer.account.pk)
    tries = []

    def place(*, requests, now):
        tries.append(now)
        with transaction.atomic():
            if len(tries) == 1:  # else the other transaction might be the one that is undone
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL deadlock_timeout = '500ms'")
            return place_orders(requests=requests, now=now)

    gate = Gate(place=place)
    with held_account(high.pk) as holding:
        future = pool.submit(gate.place, [opening(option, low), opening(option, high)])
        until(waiting_for_a_lock)
        holding.execute("SET LOCAL deadlock_timeout = '10s'")
        asking = pool.submit(
            holding.execute, "SELECT 1 FROM counter_account WHERE customer_id = %s FOR UPDATE", [low.pk]
        )
        asking.result(SOON)
        holding.rollback()
    assert [type(outcome) for outcome in future.result(SOON)] == [Accepted, Accepted]
    gate.stop()
    assert len(tries) == 2
    assert SyncOrder.objects.count() == 2


def test_orders_do_not_fail_because_prepared_statements_are_gone(option):
    seen = []

    def place(*, requests, now):
        seen.append(len(requests))
        if len(seen) == 2:
            with connection.cursor() as cursor:
                cursor.execute("DEALLOCATE ALL")
        return place_orders(requests=requests, now=now)

    gate = Gate(place=place)
    try:
        for _ in range(3):
            assert accepted(gate.place([opening(option)]))
    finally:
        gate.stop()
    assert len(seen) == 4  # the second was tried twice


def test_a_transaction_that_is_undone_again_and_again_is_given_up(option):
    tries = []

    def place(*, requests, now):
        tries.append(now)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'undone' USING ERRCODE = '40001'; END $$")

    gate = Gate(place=place)
    with pytest.raises(OutcomeUnknown):
        gate.place([opening(option)])
    gate.stop()
    assert len(tries) == gates.TRIES


# --- ending ---------------------------------------------------------------------------------------------------------


def connections_of_others():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


def test_stopping_commits_what_waits_and_ends_the_connection(gate, pool, option):
    admissions.stop()  # an earlier test's: its connection is not what is counted here
    with writer_busy(gate, pool, option) as (first, _):
        behind = pool.submit(gate.place, [opening(option)])
        until(lambda: gate._waiting_orders == 1)
        stopping = pool.submit(gate.stop)
        until(lambda: gate._writer is None)
        assert not stopping.done()
    stopping.result(SOON)
    assert accepted(first.result(SOON))
    assert accepted(behind.result(SOON))
    until(lambda: connections_of_others() == 0)
    gate.stop()


def test_orders_that_arrive_while_it_stops_are_placed_by_the_next_writer(gate, option, pool):
    stop = threading.Event()

    def keep_stopping():
        while not stop.is_set():
            gate.stop()

    stopping = pool.submit(keep_stopping)
    customers = [make_customer() for _ in range(8)]

    def place_some(customer):
        return [accepted(gate.place([opening(option, customer)])).client_order_id for _ in range(10)]

    try:
        placed = list(pool.map(place_some, customers))
    finally:
        stop.set()
        stopping.result(SOON)
    assert SyncOrder.objects.count() == sum(map(len, placed)) == 80


def test_an_account_that_somebody_else_holds_stops_its_own_orders_only(gate, pool, option):
    customer = make_customer()
    with held_account(customer.pk):
        held = pool.submit(gate.place, [opening(option, customer)])
        until(lambda: waiting_for_a_lock())
        others = [pool.submit(gate.place, [opening(option)]) for _ in range(3)]
        behind = pool.submit(gate.place, [opening(option, customer)])
        assert isinstance(held.exception(SOON), GateFull)
        assert all(accepted(other.result(SOON)) for other in others)
        assert isinstance(behind.exception(SOON), GateFull)
    assert accepted(gate.place([opening(option, customer)]))
