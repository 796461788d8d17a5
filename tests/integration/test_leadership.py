"""One leads, and a deposed leader cannot write: the lock, the lease and the token, with real connections."""

import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction

from infra.coordination import clock, leadership
from infra.coordination.clock import ClockUnknown
from infra.coordination.leadership import Leadership, LeadershipLost
from infra.coordination.leases import leaders
from tests.support.standing import Paused, end_backend, lock_holders, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look often; how long a leader may be silent stays as it is, lest a busy machine change the leader."""
    for name in ("RENEW_EVERY_SECONDS", "CONTEND_EVERY_SECONDS", "POLL_SECONDS"):
        monkeypatch.setattr(leadership, name, 0.05)


@pytest.fixture
def contend():
    """Contenders for one name; all let go at the end."""
    made = []

    def start(name="test"):
        made.append(Leadership(name, using="default"))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.stop()


def won(contender):
    until(lambda: contender.term)
    return contender.term


def token():
    return leaders(using="default")[0].token


def renewals(count):
    """Wait until the lease was renewed that often."""
    for _ in range(count):
        with connection.cursor() as cursor:
            seen = renewed_at(cursor)
            until(lambda seen=seen, cursor=cursor: renewed_at(cursor) != seen)


def renewed_at(cursor):
    cursor.execute("SELECT renewed_at FROM config_lease")
    return cursor.fetchone()[0]


@contextmanager
def fenced(term):
    """A write of that term on a thread of its own, begun and neither finished nor given up until the block ends."""
    begun, go_on, outcome = threading.Event(), threading.Event(), []

    def write():
        try:
            with transaction.atomic():
                term.fence()
                begun.set()
                go_on.wait(20)
            outcome.append("committed")
        except Exception as error:  # noqa: BLE001 - is looked at by the test
            outcome.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(10)
    yield outcome
    go_on.set()
    thread.join(10)


HELD_UP = 4711


@pytest.fixture
def held_up():
    """Have the database take its time over the lock of those who write, until it may go on."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE SCHEMA slow;
            CREATE FUNCTION slow.pg_try_advisory_xact_lock_shared(key bigint) RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_advisory_xact_lock_shared({HELD_UP});
                RETURN pg_catalog.pg_try_advisory_xact_lock_shared(key);
            END $$
            """
        )

    @contextmanager
    def hold():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [HELD_UP])
            yield lambda: cursor.execute("SELECT pg_advisory_unlock(%s)", [HELD_UP])

    yield hold
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all(); DROP SCHEMA slow CASCADE")


def fence_elsewhere(term):
    """Begin to fence a transaction on a thread of its own, at a database that is held up; what came of it."""
    came = []

    def write():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET search_path = slow, pg_catalog, public")
            with transaction.atomic():
                term.fence()
            came.append("committed")
        except Exception as error:  # noqa: BLE001 - is looked at by the test
            came.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()

    def outcome():
        thread.join(20)
        return came[0]

    return outcome


def waits_for(key):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [key],
        )
        return cursor.rowcount


def test_one_of_many_leads(contend):
    contenders = [contend() for _ in range(4)]
    until(lambda: any(each.term for each in contenders))
    renewals(3)  # time enough for another one to try
    assert sum(each.term is not None for each in contenders) == 1


def test_names_are_led_apart(contend):
    assert {won(contend(name)).name for name in ("one", "two")} == {"one", "two"}
    assert [leader.name for leader in leaders(using="default")] == ["one", "two"]


def test_who_stops_hands_over_at_once_and_with_a_greater_token(contend):
    first = contend()
    token = won(first).token
    second = contend()
    first.stop()
    assert first.term is None
    assert won(second).token > token


def test_a_leader_goes_on_as_long_as_it_renews(contend):
    first = contend()
    term = won(first)
    ends_at = term._until
    contend()
    renewals(3)
    assert first.term is term
    assert term._until > ends_at
    with transaction.atomic():
        term.fence()


def test_a_lost_lock_connection_ends_the_term_and_one_leads_again(contend):
    contenders = [contend(), contend()]
    until(lambda: any(each.term for each in contenders))
    [term] = [each.term for each in contenders if each.term]
    end_backend(*lock_holders("test"))
    until(lambda: [each.term for each in contenders if each.term not in (None, term)])
    until(lambda: sum(each.term is not None for each in contenders) == 1)  # the old one finds out by itself
    assert not term.holds()
    with pytest.raises(LeadershipLost), transaction.atomic():
        term.fence()


def test_a_silent_leader_is_cut_off_and_its_token_outdated(contend, monkeypatch):
    monkeypatch.setattr(leadership, "SILENT_AFTER_SECONDS", 0.3)
    with Paused() as paused:  # holds lock and lease and does nothing
        old = paused.term
        contend()
        until(lambda: token() > old.token)
        assert old.holds(), "the paused one does not know"
        with pytest.raises(LeadershipLost), transaction.atomic():
            old.fence()
        assert not old.holds()
        with pytest.raises(LeadershipLost), old.acting():
            pass


def test_a_new_leader_waits_for_a_write_under_way(contend, monkeypatch):
    monkeypatch.setattr(leadership, "WRITES_END_WITHIN_SECONDS", 20)
    first = contend()
    with fenced(won(first)) as outcome:
        first.stop()
        second = contend()
        until(lambda: token() == 2)
        assert second.term is None
    assert outcome == ["committed"]
    won(second)


def test_a_view_from_before_the_new_leader_does_not_let_the_old_one_write(contend, held_up):
    first = contend()
    old = won(first)
    with held_up() as go_on:  # the statement that takes the lock has begun, and has its view of the lease
        outcome = fence_elsewhere(old)
        until(lambda: waits_for(HELD_UP))
        first.stop()
        won(contend())
        go_on()
        assert isinstance(outcome(), LeadershipLost)


def test_a_write_that_does_not_end_is_undone(contend, monkeypatch):
    monkeypatch.setattr(leadership, "WRITES_END_WITHIN_SECONDS", 0.1)
    first = contend()
    with fenced(won(first)) as outcome:
        first.stop()
        won(contend())
    [error] = outcome
    assert "terminat" in str(error) or "closed" in str(error)


def test_what_is_done_outside_transactions_is_waited_for_too(contend, monkeypatch):
    monkeypatch.setattr(leadership, "WRITES_END_WITHIN_SECONDS", 20)
    first = contend()
    term = won(first)
    with term.acting():
        first.stop()
        second = contend()
        until(lambda: token() == 2)
    won(second)
    with pytest.raises(LeadershipLost), term.acting():
        pass


def test_who_leads_keeps_nobody_else_from_that_database(contend):
    """Fencing is a shared lock: any number of threads of the leader write at the same time, and renewing goes on."""
    term = won(contend())
    with fenced(term), fenced(term), transaction.atomic():
        term.fence()
        renewals(3)
        assert term.holds()


def test_without_a_database_nobody_leads_and_then_one_does(contend, monkeypatch):
    first = contend()
    term = won(first)
    real = Leadership._renew
    monkeypatch.setattr(Leadership, "_renew", lambda *_: (_ for _ in ()).throw(leadership.OperationalError()))
    until(lambda: not term.holds())
    monkeypatch.setattr(Leadership, "_renew", real)
    assert won(first).token > term.token


def test_a_term_that_is_over_by_the_clock_stays_over(contend):
    term = won(contend())
    term.end()
    assert not term.extend(until=time.monotonic() + 60)
    assert not term.holds()


def test_work_ends_with_its_term_and_begins_anew(contend):
    terms, stopping = [], threading.Event()

    def work(term):
        terms.append(term)
        while term.holds() and not stopping.wait(0.01):
            pass

    contender = Leadership("test", using="default")
    runner = threading.Thread(target=contender.lead, args=(work,), kwargs={"stopping": stopping})
    runner.start()
    until(lambda: terms)
    end_backend(*lock_holders("test"))
    until(lambda: len(terms) == 2)
    assert not terms[0].holds()
    stopping.set()
    runner.join(10)
    assert not runner.is_alive()
    until(lambda: not lock_holders("test"))


def test_who_stands_by_does_meanwhile_what_it_is_told_and_stops_when_it_leads(contend):
    leader = contend()
    until(lambda: leader.term)
    told, terms, stopping = [], [], threading.Event()

    def work(term):
        terms.append(len(told))
        while term.holds() and not stopping.wait(0.01):
            pass

    standby = Leadership("test", using="default")
    asked = {"stopping": stopping, "meanwhile": lambda: told.append(bool(terms))}
    runner = threading.Thread(target=standby.lead, args=(work,), kwargs=asked)
    runner.start()
    until(lambda: len(told) > 1)
    assert not terms
    leader.stop()
    until(lambda: terms)
    stopping.set()
    runner.join(10)
    assert terms == [len(told)]
    assert not any(told)


def test_work_begins_with_a_connection_that_the_end_of_the_term_before_has_not_ended(contend):
    sessions, stopping = [], threading.Event()

    def work(term):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            sessions.append(cursor.fetchone()[0])
        while term.holds() and not stopping.wait(0.01):
            pass

    def lead():
        try:
            Leadership("test", using="default").lead(work, stopping=stopping)
        finally:
            connections.close_all()

    runner = threading.Thread(target=lead)
    runner.start()
    until(lambda: sessions)
    for pid in (*sessions, *lock_holders("test")):
        end_backend(pid)
    until(lambda: len(sessions) == 2 or not runner.is_alive())
    stopping.set()
    runner.join(10)
    assert len(set(sessions)) == 2


@pytest.mark.timed
def test_a_leader_that_is_silent_and_whose_lease_lies_in_the_future_is_taken_over_from(contend):
    with Paused() as paused:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE config_lease SET renewed_at = clock_timestamp() + interval '1 hour'")
        assert not leaders(using="default")[0].is_alive
        standby = contend()
        assert until(lambda: standby.term, within=10) < 10
        assert standby.term.token > paused.term.token


def test_who_does_not_know_the_time_does_not_lead(contend, monkeypatch):
    def unknown():
        raise ClockUnknown

    leader = contend()
    won(leader)
    monkeypatch.setattr(clock.of("default"), "now", unknown)
    until(lambda: leader.term is None)
    monkeypatch.undo()
    assert won(leader)
