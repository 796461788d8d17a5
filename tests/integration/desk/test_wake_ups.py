"""Nothing of a coin waits for beat: what is due calls for itself, also when the process that knew of it has ended."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from acceptance import counter_client
from acceptance.counter_client import CounterUnavailable
from infra.broker import wakeups
from settlement import tasks
from settlement.conversions import chasing
from settlement.counter_link import conditions
from settlement.models import Conversion, VenueHalt
from settlement.task_triggers import BALANCE, RESUME
from settlement.venues import halts
from tests.support.desk_bench import POST, event, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


@pytest.fixture
def armed(monkeypatch):
    """What this process has itself woken for, and in how many seconds."""
    found = []
    monkeypatch.setattr(wakeups, "call_in", lambda seconds, steps: found.append((steps, seconds)))
    return found


def seconds_until(moment):
    return (moment - timezone.now()).total_seconds()


def test_a_sweep_wakes_for_what_is_due_after_the_process_that_stored_it_has_ended(desk, armed):
    desk.paper.add_fault("rate_limit", **POST, retry_after_seconds=3)
    take_in(event())
    assert desk.convert().state == "RETRY_WAIT"
    armed.clear()  # with the process that sent it
    desk.resume()
    due_at = Conversion.objects.get().due_at
    [(steps, seconds)] = armed
    assert steps == RESUME
    assert seconds == pytest.approx(seconds_until(due_at), abs=0.5)


def test_a_sweep_wakes_for_the_end_of_a_rest_and_for_the_question_of_a_halt(desk, armed):
    now = timezone.now()
    take_in(event())
    chasing.rest("BTC", why="nothing executed", now=now + timedelta(seconds=2))
    armed.clear()
    desk.resume()
    assert [steps for steps, _ in armed] == [RESUME]
    assert 1 < armed[0][1] < 3
    halts.begin(venue=desk.venue.name, reason="closed", now=now)
    armed.clear()
    desk.resume()
    assert [steps for steps, _ in armed] == [RESUME]


def test_a_sweep_without_anything_to_resume_reads_little_and_wakes_for_nothing(desk, armed):
    desk.settle(event())
    armed.clear()
    desk.resume()
    assert armed == []


def test_a_halt_that_a_person_lifts_holds_nothing_up_until_the_sweep(desk, sent):
    halts.begin(venue=desk.venue.name, reason="closed", now=timezone.now())
    sent.clear()
    assert halts.lift_by_hand(VenueHalt.objects.all(), by="somebody", now=timezone.now()) == 1
    assert sent == [RESUME]


def test_settlements_are_reported_again_soon_after_counter_was_away(desk, armed, monkeypatch):
    desk.settle(event())

    def away(reports):
        raise CounterUnavailable("away")

    monkeypatch.setattr(counter_client, "report", away)
    tasks.report()
    assert armed == [(BALANCE, tasks.REPORT_AGAIN_SECONDS)]


def test_a_worker_process_that_replaces_another_takes_up_what_that_one_had_in_hand(desk, sent, monkeypatch):
    monkeypatch.setattr(tasks.worker_warmup, "warm_up", lambda venue: None)
    monkeypatch.setattr(wakeups, "start", lambda: None)
    monkeypatch.setattr(tasks, "_is_up", False)
    tasks.begin()
    assert sent == [], "the workers' first processes leave that to their master"
    tasks.carry_on()
    assert sent == [RESUME, BALANCE]
    tasks.begin()
    assert sent == 2 * [RESUME, BALANCE]


def test_the_desk_speaks_when_something_has_changed_and_now_and_then(desk, monkeypatch):
    told, at = [], [100.0]
    monkeypatch.setattr(conditions.counter_client, "tell_conditions", lambda coins, as_of: told.append(coins))
    monkeypatch.setattr(conditions, "_told", None)
    monkeypatch.setattr(conditions, "time", SimpleNamespace(monotonic=lambda: at[0]))
    for moment in (100.0, 101.0, 102.0):
        at[0] = moment
        conditions.tell_news(now=timezone.now())
    assert len(told) == 1
    take_in(event())
    conditions.tell_news(now=timezone.now())
    assert len(told) == 2
    at[0] += conditions.TOLD_AGAIN_SECONDS
    conditions.tell_news(now=timezone.now())
    assert len(told) == 3
