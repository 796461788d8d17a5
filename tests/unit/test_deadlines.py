"""Blocks that take longer than they may are told so, each at its time, by one thread; others are left alone."""

import multiprocessing
import os
import threading
import time

import pytest

from infra.http_client.deadlines import Deadlines

SOON = 30.0


@pytest.fixture
def deadlines() -> Deadlines:
    return Deadlines()


def watchers() -> int:
    return sum(thread.name == "deadlines" for thread in threading.enumerate())


def test_a_block_that_is_late_is_told_and_one_in_time_is_not(deadlines):
    late = threading.Event()
    with deadlines.within(SOON, lambda: pytest.fail("was in time")):
        pass
    started = time.monotonic()
    with deadlines.within(0.05, late.set):
        assert late.wait(SOON)
    assert 0.05 <= time.monotonic() - started < SOON


def test_the_earliest_is_told_first_in_any_order_and_by_one_thread(deadlines):
    before, told, both = watchers(), [], threading.Event()

    def second() -> None:
        told.append("second")
        both.set()

    with (
        deadlines.within(SOON, both.set),
        deadlines.within(0.2, second),
        deadlines.within(0.05, lambda: told.append("first")),
    ):
        assert both.wait(SOON)
    assert told == ["first", "second"]
    assert watchers() == before + 1


def test_what_fails_at_ending_one_call_keeps_no_other_from_being_ended(deadlines):
    late = threading.Event()

    def fail() -> None:
        raise RuntimeError("an error of ours")

    with deadlines.within(0.01, fail), deadlines.within(0.05, late.set):
        assert late.wait(SOON)


def test_no_time_left_is_late_at_once(deadlines):
    late = threading.Event()
    with deadlines.within(-1.0, late.set):
        assert late.wait(SOON)


def test_a_block_within_another_thread_or_after_an_error_is_over_all_the_same(deadlines):
    with pytest.raises(ValueError), deadlines.within(0.05, lambda: pytest.fail("was over")):
        raise ValueError
    time.sleep(0.1)


def test_a_block_does_not_end_while_it_is_being_told(deadlines):
    """What ends one call has returned before the next one begins, on the same connection."""
    began, told = threading.Event(), threading.Event()

    def tell() -> None:
        began.set()
        time.sleep(0.1)
        told.set()

    with deadlines.within(0.01, tell):
        assert began.wait(SOON)
    assert told.is_set()


def test_a_machine_without_a_thread_to_spare_fails_one_call_and_leaves_none_unwatched(deadlines, monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as during:
        during.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError), deadlines.within(SOON, lambda: None):
            pytest.fail("nobody would watch it")
    late = threading.Event()
    with deadlines.within(0.01, late.set):
        assert late.wait(SOON)


def test_the_thread_wakes_for_what_may_be_late_and_passes_over_what_has_ended(deadlines, monkeypatch):
    woken = []
    wait = deadlines._changed.wait
    monkeypatch.setattr(deadlines._changed, "wait", lambda seconds: woken.append(seconds) or wait(seconds))
    for number in range(50):
        with deadlines.within(0.1 + 0.005 * number, lambda: pytest.fail("was in time")):
            pass
    late = threading.Event()
    with deadlines.within(0.4, late.set):
        assert late.wait(SOON)
    assert len(woken) < 10


def test_a_forked_process_watches_its_own_calls(deadlines):
    with deadlines.within(SOON, lambda: None):
        pass
    child = multiprocessing.get_context("fork").Process(target=_is_told, args=[deadlines])
    child.start()
    child.join(2 * SOON)
    assert child.exitcode == 0


def _is_told(deadlines: Deadlines) -> None:
    late = threading.Event()
    with deadlines.within(0.05, late.set):
        os._exit(0 if late.wait(SOON) else 1)
