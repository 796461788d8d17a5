"""A process killed between any two lines is resumed to the same books: every order settled once, reported once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from acceptance import counter_client
from acceptance import recovery as pulling
from counter.models import SyncOrder
from settlement import recovery, reporting
from settlement.models import Allocation, Conversion
from tests.recovery.doomed import POINTS
from tests.support.databases import conninfo
from tests.support.desk_bench import Desk, assert_books_agree, order_states, states
from tests.support.factories import make_customer, make_option, place_open

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True, databases=["default", "desk"])]

ROOT = Path(__file__).resolve().parents[2]


class Doomed:
    """The process that forks one that is killed for each test."""

    def __init__(self) -> None:
        urls = {name: conninfo(alias) for name, alias in ALIASES.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.recovery.doomed"],
            cwd=ROOT,
            env={**os.environ, **urls},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, point: str, **settings: str) -> int:
        """Set a process to work; its pid."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"point": point, "settings": settings}) + "\n")
        self.process.stdin.flush()
        return self._heard()["pid"]

    def end(self) -> int:
        """How it ended: 0, or less the signal that killed it."""
        return self._heard()["status"]

    def stop(self) -> None:
        """End the process that forks."""
        self.process.communicate(timeout=10)

    def _heard(self) -> dict[str, int]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


ALIASES = {"DATABASE_URL": "default", "DESK_DATABASE_URL": "desk"}


@pytest.fixture(scope="module")
def doomed(django_db_setup: None) -> Iterator[Doomed]:
    made = Doomed()
    yield made
    made.stop()


@pytest.fixture
def desk(two_systems: None, venue: Any, paper_venue: Any, venue_account: tuple[str, str, str]) -> Desk:
    return Desk(venue, paper_venue, venue_account[0])


@pytest.fixture
def task(
    live_server: Any, paper_venue: Any, venue_account: tuple[str, str, str], settings: Any
) -> Iterator[dict]:
    """What the doomed process has to know."""
    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    _, key, secret = venue_account
    yield {
        "COUNTER_URL": live_server.url,
        "VENUE_URL": paper_venue.url,
        "VENUE_API_KEY": key,
        "VENUE_API_SECRET": secret,
        "BROKER_URL": django_settings.BROKER_URL,
    }
    counter_client._session().close()
    counter_client._local.__dict__.clear()


def place() -> None:
    option, customer = make_option(), make_customer()
    for contracts in (1, 2, 3):
        place_open(customer, option, contracts=contracts)


def standing_at(now: datetime) -> Callable[[], datetime]:
    """A clock that stands."""
    return lambda: now


def carry_on(desk: Desk) -> None:
    """What the next process does, again and again, as if time passed quickly."""
    for step in range(1, 20):
        now = timezone.now() + timedelta(seconds=12 * step)
        pulling.pull_unsynced(min_age_ms=0, now=now)
        recovery.resume(venue=desk.venue, now=now)
        if "RECEIVED" in order_states():
            desk.convert()
            recovery.resume(venue=desk.venue, now=now)
        reporting.report_settled(clock=standing_at(now))
        if order_states() == {"REPORTED"}:
            return
    raise AssertionError((order_states(), states()))


def assert_same_books(desk: Desk) -> None:
    """What an undisturbed run leaves: one execution of 6 contracts, three shares, nothing pending anywhere."""
    executed = [order for order in desk.venue_has("orders") if Decimal(order["executedQty"])]
    assert [Decimal(order["executedQty"]) for order in executed] == [Decimal("0.0015")]
    assert Allocation.objects.count() == 3
    assert Conversion.objects.filter(state="BOOKED").count() == 1
    assert set(SyncOrder.objects.values_list("state", flat=True)) == {"SETTLED"}
    assert_books_agree(desk)


@pytest.mark.parametrize("point", [*POINTS, ""])
def test_whatever_dies_at_any_point_ends_in_the_same_books(desk, doomed, task, point):
    place()
    doomed.begin(point, **task)
    assert doomed.end() == (-signal.SIGKILL if point else 0)

    carry_on(desk)
    assert_same_books(desk)


@pytest.mark.parametrize("fault", ["latency", "reply_delay"])
def test_a_process_killed_while_its_order_is_under_way_sends_no_second_one(desk, doomed, task, fault):
    place()
    desk.paper.add_fault(fault, path="/api/v3/order$", method="POST", delay_ms=700)
    pid = doomed.begin("", **task)
    wait_for(lambda: desk.paper.state()["faults"][0]["struck"])
    os.kill(pid, signal.SIGKILL)
    assert doomed.end() == -signal.SIGKILL
    assert states() == ["SUBMITTED"]

    recovery.resume(venue=desk.venue, now=timezone.now() + timedelta(seconds=9))
    wait_for(lambda: desk.venue_has("orders"))  # with latency it is executed only after we first asked
    carry_on(desk)
    assert_same_books(desk)
    assert len(desk.venue_has("orders")) == 1


def wait_for(holds: Any) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
