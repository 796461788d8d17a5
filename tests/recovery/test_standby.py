"""Two of each program that is led, as real processes: a leader is lost, and one goes on, and only one."""

import itertools
import json
import operator
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from django.conf import settings as django_settings
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from acceptance import counter_client
from acceptance.models import AcceptedOrder
from counter.models import IndexPrice
from infra.broker.canary import trips
from infra.coordination.leases import leaders
from infra.models import Canary
from tests.support import ending
from tests.support.brokers import task_queue
from tests.support.databases import environment
from tests.support.factories import make_customer, make_option, place_open
from tests.support.standing import SOON_SECONDS, end_backend, lock_holders, until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

ROOT = Path(__file__).resolve().parents[2]
# Where each leads, and so where its lease and its lock are.
LED = {"feed": "default", "beat": "default", "intake": "desk"}
TAKEOVER_SECONDS = 10.0
HANDOVER_SECONDS = 2.0
TICK_EVERY_SECONDS = 1


class Stable:
    """Starts programs; all end with the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.recovery.led"],
            cwd=ROOT,
            env={**os.environ, **environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started: list[psutil.Process] = []
        self.settings: dict[str, Any] = {}

    def start(self, program: str) -> psutil.Process:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        log = self._folder / f"{program.partition(' ')[0]}-{len(self.started)}.log"
        task = {"program": program, "log": str(log), "settings": self.settings}
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        self.started.append(psutil.Process(json.loads(self._process.stdout.readline())))
        return self.started[-1]

    def end_all(self) -> None:
        for process in self.started:
            if process.is_running():
                process.kill()
        psutil.wait_procs(self.started, timeout=20)
        self.started.clear()

    def stop(self) -> None:
        self.end_all()
        ending.end(self._process)
        self._process.communicate()


@pytest.fixture(scope="module")
def forks(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stable]:
    made = Stable(tmp_path_factory.mktemp("led"))
    yield made
    made.stop()


@pytest.fixture
def stable(
    forks: Stable,
    two_systems: None,
    live_server: Any,
    paper_venue: Any,
    venue_account: tuple[str, str, str],
    settings: Any,
) -> Iterator[Stable]:
    """Two of each, one of which leads."""
    settings.COUNTER_URL = live_server.url
    _, key, secret = venue_account
    forks.settings = {
        "COUNTER_URL": live_server.url,
        "VENUE_URL": paper_venue.url,
        "VENUE_API_KEY": key,
        "VENUE_API_SECRET": secret,
    }
    schedule_ticks()
    try:
        for program in LED:
            for _ in range(2):
                forks.start(program)
        for program in LED:
            until(partial(leader, program))
            until(WORKED[program](timezone.now()))
        yield forks
    finally:
        forks.end_all()
    counter_client._session().close()
    counter_client._local.__dict__.clear()


def schedule_ticks() -> None:
    every, _ = IntervalSchedule.objects.get_or_create(every=TICK_EVERY_SECONDS, period="seconds")
    for number in range(3):
        PeriodicTask.objects.create(name=f"tick {number}", task="settlement.report", interval=every)


def leader(program: str) -> int | None:
    """Process number of who leads, if it has said so within the last seconds."""
    for found in leaders(using=LED[program]):
        if found.name == program and found.is_alive:
            return int(found.holder.split()[2])
    return None


# --- that one works ---------------------------------------------------------------------------------------------------


def quoted(since: datetime) -> Callable[[], bool]:
    return lambda: IndexPrice.objects.filter(at__gt=since).exists()


def ticked(since: datetime) -> Callable[[], bool]:
    return lambda: any(sent_at > since for _, sent_at in ticks())


def took_in(since: datetime) -> Callable[[], bool]:
    order_id = place_open(make_customer(), make_option()).id
    return lambda: AcceptedOrder.objects.filter(order_id=order_id).exists()


WORKED = {"feed": quoted, "beat": ticked, "intake": took_in}


def ticks() -> list[tuple[str, datetime]]:
    """What was sent to the workers, of whom there are none: name of the schedule, and when."""
    with redis.Redis.from_url(django_settings.BROKER_URL) as client:
        headers = [json.loads(message)["headers"] for message in client.lrange(task_queue("settle"), 0, -1)]
    return [
        (each["periodic_task_name"], datetime.fromisoformat(each["sent_at"]))
        for each in headers
        if (each.get("periodic_task_name") or "").startswith("tick")
    ]


def assert_no_tick_was_sent_twice() -> None:
    """None is sent that was not counted, and never two within one interval."""
    sent = ticks()
    counted = runs()  # read later: what is counted may be sent a moment after
    for schedule, times in itertools.groupby(sorted(sent), key=operator.itemgetter(0)):
        moments = [at for _, at in times]
        assert len(moments) <= counted[schedule]
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert all(gap > timedelta(seconds=TICK_EVERY_SECONDS / 2) for gap in gaps), (schedule, gaps)


def runs() -> dict[str, int]:
    return dict(PeriodicTask.objects.filter(name__startswith="tick").values_list("name", "total_run_count"))


def all_work_again(beside: dict[str, psutil.Process]) -> dict[str, float]:
    """Wait until others lead and work; by program, the seconds it took."""
    began, took = time.monotonic(), {}
    worked = {program: WORKED[program](timezone.now()) for program in beside}
    while worked:
        for program, old in beside.items():
            if program in worked and leader(program) not in (None, old.pid) and worked[program]():
                took[program] = round(time.monotonic() - began, 2)
                del worked[program]
        assert time.monotonic() - began < 3 * TAKEOVER_SECONDS, worked.keys()
        time.sleep(0.01)
    return took


def present() -> dict[str, psutil.Process]:
    """The leaders' processes."""
    found = {program: leader(program) for program in LED}
    return {program: psutil.Process(pid) for program, pid in found.items() if pid is not None}


# --- after each way to lose the leader --------------------------------------------------------------------------------


@pytest.mark.timed
def test_a_killed_leader_is_replaced_within_ten_seconds(stable):
    old = present()
    for process in old.values():
        process.kill()
    took = all_work_again(old)
    print("taken over from the killed within", took)  # noqa: T201 - shown with -s
    assert max(took.values()) < TAKEOVER_SECONDS, took
    assert_no_tick_was_sent_twice()


@pytest.mark.timed
def test_a_leader_that_is_told_to_end_hands_over_at_once(stable):
    old = present()
    for process in old.values():
        process.terminate()
    took = all_work_again(old)
    print("handed over within", took)  # noqa: T201 - shown with -s
    assert max(took.values()) < TAKEOVER_SECONDS, took
    assert not psutil.wait_procs(list(old.values()), timeout=20)[1]
    assert_no_tick_was_sent_twice()


@pytest.mark.timed
def test_where_the_lock_connection_is_cut_exactly_one_goes_on(stable):
    terms = tokens()
    since = timezone.now()
    for program, using in LED.items():
        [backend] = lock_holders(program, using=using)
        end_backend(backend, using=using)
    began = time.monotonic()
    for program in LED:
        until(lambda program=program: tokens().get(program, 0) > terms[program])
        until(WORKED[program](since))
    took = time.monotonic() - began
    print("one leads again after", round(took, 2))  # noqa: T201 - shown with -s
    assert took < TAKEOVER_SECONDS
    for program, using in LED.items():
        assert len(lock_holders(program, using=using)) == 1
    assert_no_tick_was_sent_twice()


@pytest.mark.timed
def test_a_paused_leader_is_replaced_and_writes_nothing_when_it_wakes(stable):
    old = present()
    for process in old.values():
        process.suspend()
    took = all_work_again(old)
    print("taken over from the paused within", took)  # noqa: T201 - shown with -s
    assert max(took.values()) < TAKEOVER_SECONDS, took

    new = present()
    for process in new.values():
        process.suspend()
    before = written()
    place_open(make_customer(), make_option())
    for process in old.values():
        process.resume()
    time.sleep(2 * TICK_EVERY_SECONDS)  # each of them would have written twice; nobody else is awake
    assert written() == before
    for process in new.values():
        process.resume()
    assert_no_tick_was_sent_twice()

    new = present()
    for process in new.values():
        process.kill()
    all_work_again(new)
    assert present() == old, "they stand by"


def test_a_canary_comes_back_from_the_queues_that_are_consumed_and_from_no_other(forks, broker_url):
    every, _ = IntervalSchedule.objects.get_or_create(every=TICK_EVERY_SECONDS, period="seconds")
    for queue in django_settings.WORKER_QUEUES:
        PeriodicTask.objects.create(
            name=f"canary {queue}", task="config.canary", args=f'["{queue}"]', queue=queue, interval=every
        )
    try:
        forks.start("beat")
        forks.start("worker convert,sweeps")
        until(lambda: {trip.queue for trip in trips() if trip.ok} == {"convert", "sweeps"})
        seen = dict(Canary.objects.values_list("queue", "returned_at"))
        until(lambda: all(Canary.objects.get(queue=queue).returned_at > at for queue, at in seen.items()))
        assert seen.keys() == {"convert", "sweeps"}, "though settle's worker lives and is connected"
        assert all(0 <= trip.took_seconds < SOON_SECONDS for trip in trips() if trip.ok)
    finally:
        forks.end_all()


def tokens() -> dict[str, int]:
    return {found.name: found.token for using in ("default", "desk") for found in leaders(using=using)}


def written() -> dict[str, Any]:
    """All that they write."""
    return {
        "index": IndexPrice.objects.count(),
        "ticks": len(ticks()),
        "runs": runs(),
        "orders": AcceptedOrder.objects.count(),
    }
