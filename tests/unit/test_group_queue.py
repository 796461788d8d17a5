"""The queue that orders and admissions share, without a database: who shares a group; nobody is left waiting."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.coordination.group_queue import Entry, GroupQueue, OutcomeUnknown, QueueFull, is_stuck
from infra.coordination.waiting import wake
from tools.stack.supervision import wait_until

SOON = 10.0


class Bounds:
    waiting = 5
    together = 3
    stuck_after_seconds = None
    crowd_returns_within_seconds = 0.0


class Number(Entry):
    def __init__(self, number, weight=1):
        self.number = number
        self.weight = weight


class Held:
    """Work that ends when it is let go on; it notes its groups."""

    def __init__(self):
        self.groups, self.go, self.ended = [], threading.Event(), 0

    def __call__(self, entries):
        self.groups.append([entry.number for entry in entries])
        assert self.go.wait(SOON)
        for entry in entries:
            entry.is_answered = True
        wake(entry.waiter for entry in entries)

    def end(self):
        self.ended += 1


def holds(condition):
    assert wait_until(condition, within_seconds=SOON)


@pytest.fixture
def work():
    return Held()


@pytest.fixture
def queue(work):
    made = GroupQueue(work, name="test", bounds=Bounds(), at_end=work.end)
    yield made
    work.go.set()
    made.stop()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as threads:
        yield threads


def enter(queue, pool, numbers, **options):
    """So many callers, one after the other; of the first the thread is at work."""
    waiting = []
    for count, number in enumerate(numbers):
        waiting.append(pool.submit(queue.wait, Number(number, **options), seconds=SOON))
        holds(lambda count=count: len(queue) == count and queue._work.groups)
    return waiting


def test_what_gathers_meanwhile_is_worked_on_together_up_to_a_groups_weight(queue, work, pool):
    waiting = enter(queue, pool, range(6))
    work.go.set()
    assert all(future.result(SOON) for future in waiting)
    assert work.groups == [[0], [1, 2, 3], [4, 5]]
    assert len(queue) == queue.weight == 0


def test_one_that_is_heavier_than_a_group_has_one_to_itself(queue, work, pool):
    waiting = enter(queue, pool, [0])
    waiting.append(pool.submit(queue.wait, Number(1, weight=4), seconds=SOON))
    holds(lambda: queue.weight == 4)
    waiting.append(pool.submit(queue.wait, Number(2), seconds=SOON))
    holds(lambda: len(queue) == 2)
    work.go.set()
    assert all(future.result(SOON) for future in waiting)
    assert work.groups == [[0], [1], [2]]


def test_more_weight_than_may_wait_is_refused_on_threads_and_loops(queue, work, pool):
    waiting = enter(queue, pool, range(6))
    with pytest.raises(QueueFull):
        queue.wait(Number(6), seconds=SOON)

    async def ask():
        await queue.wait_soon(Number(6), seconds=SOON)

    with pytest.raises(QueueFull):
        asyncio.run(ask())
    work.go.set()
    assert all(future.result(SOON) for future in waiting)


def test_what_was_begun_cannot_be_withdrawn_and_what_was_not_can(queue, work, pool):
    begun = Number(0)
    waiting = [pool.submit(queue.wait, begun, seconds=SOON)]
    holds(lambda: work.groups == [[0]])
    late = Number(1)
    assert not queue.wait(late, seconds=0.01)
    assert not queue.withdraw(begun)
    assert queue.withdraw(late)
    assert not queue.withdraw(late)
    work.go.set()
    assert waiting[0].result(SOON)
    assert work.groups == [[0]]


class Death(BaseException):
    """Ends a thread even if it catches exceptions."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_is_left_without_an_answer_is_told_and_who_waits_gets_another_thread(pool):
    ended, threads, go = [], [], threading.Event()

    def work(entries):
        threads.append(threading.current_thread())
        if len(threads) == 1:
            assert go.wait(SOON)
            raise Death
        for entry in entries:
            entry.is_answered = True
        wake(entry.waiter for entry in entries)

    queue = GroupQueue(work, name="test", bounds=Bounds(), at_end=lambda: ended.append(None))
    first, second = Number(0), Number(1)
    waiting = [pool.submit(queue.wait, first, seconds=SOON)]
    holds(lambda: threads)
    waiting.append(pool.submit(queue.wait, second, seconds=SOON))
    holds(lambda: len(queue) == 1)
    go.set()
    assert all(future.result(SOON) for future in waiting)
    assert isinstance(first.error, OutcomeUnknown)
    assert second.error is None
    queue.stop()
    threads[0].join(SOON)  # lest the next test be warned of its end
    assert len(set(threads)) == len(ended) == 2


def test_a_thread_that_is_stuck_is_left_and_ends_when_it_hears_of_it(work, pool):
    class Hasty(Bounds):
        stuck_after_seconds = 0.01

    queue = GroupQueue(work, name="test", bounds=Hasty(), at_end=work.end)
    waiting = enter(queue, pool, [0])
    left = queue._worker
    holds(lambda: work.groups == [[0]] and is_stuck(left, Hasty()))
    waiting.append(pool.submit(queue.wait, Number(1), seconds=SOON))
    holds(lambda: work.groups == [[0], [1]])
    work.go.set()
    assert all(future.result(SOON) for future in waiting)
    left.join(SOON)
    assert not left.is_alive()
    queue.stop()
    assert work.ended == 2


def test_with_nobody_there_it_is_called_when_something_else_is_due(work):
    work.go.set()
    due = [0.01]
    queue = GroupQueue(
        work, name="test", bounds=Bounds(), at_end=work.end, idle_seconds=lambda: due.pop() if due else None
    )
    assert queue.wait(Number(0), seconds=SOON)
    holds(lambda: len(work.groups) == 2)
    queue.stop()
    assert work.groups == [[0], []]
