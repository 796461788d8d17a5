"""The clock: what a process takes for the time when its own clock or the database's leaps."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from infra.coordination import clock
from infra.coordination.clock import Clock, ClockUnknown

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Ground:
    """A clock with a monotonic time that a test moves, and a server whose time it sets."""

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.clock = Clock("nowhere", monotonic=lambda: self.monotonic)
        self.measure()

    def server(self) -> datetime:
        return NOON + timedelta(seconds=self.monotonic - 1000.0)

    def measure(self, *, off_seconds: float = 0.0, round_trip: float = 0.0) -> None:
        middle = self.monotonic
        at = self.server() + timedelta(seconds=off_seconds)
        self.clock.observe(at, asked=middle - round_trip / 2, answered=middle + round_trip / 2)

    def off(self) -> float:
        return (self.clock.now() - self.server()).total_seconds()


@pytest.fixture
def ground(monkeypatch):
    monkeypatch.setattr(Clock, "_connect", lambda self: None)  # a server that does not answer
    monkeypatch.setattr(clock, "AWAITED_SECONDS", 0.1)
    return Ground()


def test_the_time_goes_on_by_the_monotonic_clock(ground):
    assert ground.clock.now() == NOON
    ground.monotonic += 17.5
    assert ground.clock.now() == NOON + timedelta(seconds=17.5)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_leap_of_this_machines_clock_changes_nothing(ground, monkeypatch, hours):
    class Wrong(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=hours)

    monkeypatch.setattr(clock, "datetime", Wrong)
    ground.monotonic += 1
    assert ground.off() == 0
    ground.measure()
    assert ground.off() == 0


def test_a_small_difference_is_followed_at_once_and_the_round_trips_own_is_not(ground):
    ground.monotonic += 30
    ground.measure(off_seconds=0.004, round_trip=0.01)
    assert ground.off() == 0
    ground.measure(off_seconds=-0.5, round_trip=0.01)
    assert ground.off() == -0.5


def test_an_answer_that_took_long_says_nothing(ground):
    ground.measure(off_seconds=0.9, round_trip=1.5)
    assert ground.off() == 0


@pytest.mark.parametrize(("seconds", "doubted_for"), [(-3600, 300), (-5, 10), (5, 10), (3600, 300)])
def test_a_servers_clock_that_leaps_is_in_doubt_until_it_has_been_steady(ground, seconds, doubted_for):
    ground.measure(off_seconds=seconds)
    for _ in range(doubted_for):
        with pytest.raises(ClockUnknown):
            ground.clock.now()
        ground.monotonic += 1
        ground.measure(off_seconds=seconds)
    assert ground.off() == seconds


def test_a_servers_clock_that_comes_back_is_believed_at_once(ground):
    ground.measure(off_seconds=3600)
    ground.monotonic += 5
    ground.measure()
    assert ground.off() == 0


def test_a_clock_that_leaps_again_has_to_be_steady_anew(ground):
    ground.measure(off_seconds=15)
    ground.monotonic += 9
    ground.measure(off_seconds=-15)
    ground.monotonic += 9
    ground.measure(off_seconds=-15)
    with pytest.raises(ClockUnknown):
        ground.clock.now()
    ground.monotonic += 1
    ground.measure(off_seconds=-15)
    assert ground.off() == -15


def test_two_monotonic_clocks_that_drift_apart_over_a_long_silence_are_no_leap(ground):
    ground.monotonic += 24 * 3600
    ground.measure(off_seconds=8.0)
    assert ground.off() == 8.0


def test_without_a_word_from_the_server_the_time_is_known_for_a_while_only(ground):
    ground.monotonic += clock.KNOWN_FOR_SECONDS - 1
    assert ground.off() == 0
    ground.monotonic += 1
    with pytest.raises(ClockUnknown):
        ground.clock.now()
    ground.measure()
    assert ground.off() == 0


def test_before_a_first_word_there_is_no_time(ground):
    with pytest.raises(ClockUnknown):
        Clock("nowhere", monotonic=lambda: 1.0).now()


def test_who_asks_while_the_first_measurement_begins_waits_for_it(monkeypatch):
    """Between the thread is there and it has started there is a moment, and another thread may be quicker."""
    begun, go_on = threading.Event(), threading.Event()
    start = threading.Thread.start

    def slow(thread):
        if thread.name.startswith("clock"):
            begun.set()
            go_on.wait(5)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", slow)
    monkeypatch.setattr(Clock, "_connect", lambda self: self.observe(NOON, asked=1000.0, answered=1000.0))
    made = Clock("nowhere", monotonic=lambda: 1000.0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(made.now)
        assert begun.wait(5)
        second = pool.submit(made.now)
        time.sleep(0.2)
        go_on.set()
        assert [first.result(5), second.result(5)] == [NOON, NOON]
