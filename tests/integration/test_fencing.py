"""A deposed leader cannot write, although it believes that it leads: quotes, orders and ticks."""

import json
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from kombu import Message

from acceptance import counter_client, deliveries, pulling
from acceptance.deliveries import Delivery
from acceptance.intake import ingest
from acceptance.models import AcceptedOrder
from config.celery import app
from counter.market.feed import Feed
from counter.models import IndexPrice, Option, Quote, TradingStatus
from counter.trading.watch import Watch
from infra.broker.scheduler import LeadingScheduler
from infra.coordination.leadership import Leadership, LeadershipLost, Term
from tests.support.brokers import task_queue
from tests.support.desk_bench import event
from tests.support.index_sources import WrittenSource, begun
from tests.support.standing import Paused, until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])


def ignore(leaps: object) -> None:
    """Nothing leaps here."""


@pytest.fixture
def led(request: Any) -> Any:
    """A leader's term, and what takes its place."""
    name, using = request.param
    opened: list[Paused] = []

    def lead() -> Term:
        if opened:
            opened.pop().close()
        opened.append(Paused(name, using=using))
        return opened[-1].term

    yield lead
    opened.pop().close()


@pytest.mark.parametrize("led", [("feed", "default")], indirect=True)
def test_a_feed_that_leads_no_more_writes_no_index_no_listing_and_no_quote(led):
    term = led()
    feed = Feed(begun(WrittenSource(), now=timezone.now()), term, judge=ignore)
    assert feed.tick(now=timezone.now()) > 0

    led()
    newest = Quote.objects.latest("quoted_at").quoted_at
    counts = IndexPrice.objects.count(), Option.objects.count()
    assert term.holds(), "its own clock says nothing yet"
    with pytest.raises(LeadershipLost):
        feed.tick(now=timezone.now())
    assert (IndexPrice.objects.count(), Option.objects.count()) == counts
    assert Quote.objects.latest("quoted_at").quoted_at == newest

    with pytest.raises(LeadershipLost):
        Watch(started_at=timezone.now(), term=term).judge(now=timezone.now())
    assert not TradingStatus.objects.exists()

    Option.objects.all().delete()
    with pytest.raises(LeadershipLost):  # one that would list first
        Feed(begun(WrittenSource(), now=timezone.now()), term, judge=ignore).tick(now=timezone.now())
    assert not Option.objects.exists()


@pytest.mark.parametrize("led", [("intake", "desk")], indirect=True)
def test_an_intake_that_leads_no_more_stores_nothing_by_any_door(led, monkeypatch):
    term = led()
    ingest(events=[event()], door=AcceptedOrder.Door.QUEUE, now=timezone.now(), term=term)
    assert AcceptedOrder.objects.count() == 1

    led()
    acknowledged: list[list[int]] = []
    monkeypatch.setattr(counter_client, "pull", lambda **_: [event()])
    monkeypatch.setattr(counter_client, "acknowledge", acknowledged.append)
    with pytest.raises(LeadershipLost):
        ingest(events=[event()], door=AcceptedOrder.Door.QUEUE, now=timezone.now(), term=term)
    with pytest.raises(LeadershipLost):  # and takes no message for poison
        deliveries.take(
            [Delivery(Message(b""), [event()]), Delivery(Message(b""), [event()])],
            now=timezone.now(),
            term=term,
        )
    with pytest.raises(LeadershipLost):
        pulling.pull_unsynced(min_age_ms=0, now=timezone.now(), term=term)
    assert AcceptedOrder.objects.count() == 1
    assert acknowledged == []


@pytest.fixture
def scheduler(broker_url: str) -> Any:
    """A beat's scheduler that leads and has one tick a second to send."""
    every, _ = IntervalSchedule.objects.get_or_create(every=1, period="seconds")
    PeriodicTask.objects.all().delete()
    PeriodicTask.objects.create(name="tick", task="settlement.report", interval=every, expire_seconds=1)
    made = LeadingScheduler(app=app)
    until(lambda: made._leadership.term)
    make_due()
    yield made
    made.close()


def make_due() -> None:
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(hours=1))


def sent(broker_url: str) -> int:
    with redis.Redis.from_url(broker_url) as client:
        return client.llen(task_queue("settle"))


def tick_until(scheduler: LeadingScheduler, holds: Any) -> None:
    def ticked() -> bool:
        scheduler.tick()
        return holds()

    until(ticked)


def test_a_tick_is_counted_and_sent_once(scheduler, broker_url):
    tick_until(scheduler, lambda: sent(broker_url) == 1)
    first = PeriodicTask.objects.get(name="tick")
    assert first.total_run_count == 1
    for _ in range(5):
        scheduler.tick()
    assert sent(broker_url) <= 1 + int((timezone.now() - first.last_run_at).total_seconds())


def test_a_beat_that_leads_no_more_sends_and_counts_nothing(scheduler, broker_url, monkeypatch):
    tick_until(scheduler, lambda: sent(broker_url) == 1)
    term = scheduler._leadership.term
    monkeypatch.setattr(Leadership, "_renew", lambda *_: True)  # it does not hear of it
    with Paused("beat") as new:
        assert new.term.token > term.token
        make_due()
        before, runs = sent(broker_url), PeriodicTask.objects.get(name="tick").total_run_count
        scheduler._term = None  # it reads anew, and finds the tick due
        scheduler.tick()
        assert not term.holds(), "it has tried"
        assert sent(broker_url) == before
        assert PeriodicTask.objects.get(name="tick").total_run_count == runs


def test_a_schedule_that_changes_sends_no_tick_twice(scheduler, broker_url):
    """The library's own scheduler makes its heap anew then, from entries that were sent already."""
    tick_until(scheduler, lambda: sent(broker_url) == 1)
    ran_at = PeriodicTask.objects.get(name="tick").last_run_at
    scheduler._heap_invalidated = True
    scheduler.tick()
    count = sent(broker_url)
    assert count <= 1 + int((timezone.now() - ran_at).total_seconds())


def test_a_new_leader_goes_on_where_the_last_one_was(scheduler, broker_url):
    tick_until(scheduler, lambda: sent(broker_url) == 1)
    PeriodicTask.objects.update(last_run_at=timezone.now() + timedelta(hours=1))  # by another leader
    scheduler._term = None
    scheduler.tick()
    assert sent(broker_url) == 1


def test_leadership_is_what_a_scheduler_waits_for(scheduler, broker_url):
    standby = LeadingScheduler(app=app)
    try:
        for _ in range(3):
            standby.tick()
        assert sent(broker_url) == 0
        assert isinstance(standby._leadership, Leadership)
    finally:
        standby.close()


@pytest.fixture
def several(scheduler) -> Any:
    """That scheduler with three ticks a minute apart that are due, of which two are for other queues."""
    every, _ = IntervalSchedule.objects.get_or_create(every=1, period="minutes")
    PeriodicTask.objects.exclude(name="tick").delete()  # the library makes one of its own
    PeriodicTask.objects.update(interval=every)
    for name, queue in (("tack", "convert"), ("tock", "sweeps")):
        PeriodicTask.objects.create(name=name, task="settlement.report", queue=queue, interval=every)
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(hours=2))
    scheduler._term = None  # it reads anew
    return scheduler


def each_sent(broker_url: str) -> list[int]:
    with redis.Redis.from_url(broker_url) as client:
        return [client.llen(task_queue(queue)) for queue in ("convert", "settle", "sweeps")]


def claims(asked: CaptureQueriesContext) -> int:
    return sum("UPDATE django_celery_beat_periodictask" in each["sql"] for each in asked)


def runs() -> list[int]:
    return list(PeriodicTask.objects.order_by("name").values_list("total_run_count", flat=True))


def test_what_is_due_at_one_moment_is_claimed_at_once_and_due_together_from_then_on(
    several, broker_url, monkeypatch
):
    every, _ = IntervalSchedule.objects.get_or_create(every=2, period="seconds")
    PeriodicTask.objects.update(interval=every)
    send = LeadingScheduler._send

    def send_slowly(self: LeadingScheduler, entry: Any, producer: Any) -> None:
        time.sleep(0.02)
        send(self, entry, producer)

    monkeypatch.setattr(LeadingScheduler, "_send", send_slowly)
    for round_number in (1, 2, 3):
        with CaptureQueriesContext(connection) as asked:
            until(lambda: several.tick() == 0)
            assert 0 < several.tick() <= 2, "nothing else is due"
        assert claims(asked) == 1
        assert len({event.time for event in several._heap}) == 3, "a heap of equal times compares schedules"
        assert each_sent(broker_url) == [round_number] * 3
        assert runs() == [round_number] * 3
        [ran_at] = set(PeriodicTask.objects.values_list("last_run_at", flat=True))
        assert abs(timezone.now() - ran_at) < timedelta(seconds=30)
    with redis.Redis.from_url(broker_url) as client:
        dated = [
            {
                datetime.fromisoformat(json.loads(message)["headers"]["sent_at"])
                for message in client.lrange(task_queue(queue), 0, -1)
            }
            for queue in ("convert", "settle", "sweeps")
        ]
    assert len(dated[0]) == 3
    for moments in zip(*map(sorted, dated), strict=True):
        assert max(moments) - min(moments) < timedelta(seconds=0.2), "dated by their claim"


def test_what_a_slow_broker_keeps_from_being_sent_stays_due_and_is_counted_once(
    several, broker_url, monkeypatch
):
    monkeypatch.setattr("infra.broker.scheduler.SENT_WITHIN_SECONDS", 0.0)
    for sent_by_now in (1, 2, 3):
        assert several.tick() == 0
        assert sum(each_sent(broker_url)) == sent_by_now
    assert each_sent(broker_url) == [1, 1, 1]
    assert runs() == [1, 1, 1]
    assert len(set(PeriodicTask.objects.values_list("last_run_at", flat=True))) == 3, "claimed before each"
    assert several.tick() > 0


def test_of_what_is_due_at_once_nothing_is_sent_that_is_off_by_now(several, broker_url):
    several._initial_read, several._term, several._heap = False, several._leadership.term, None
    several._schedule = several.all_as_schedule()
    several._last_full_sync = datetime.now()  # noqa: DTZ005 - the library's own
    PeriodicTask.objects.filter(name="tack").update(enabled=False)  # past what tells of changes
    while several.tick() == 0:
        pass
    assert each_sent(broker_url) == [0, 1, 1]
    assert runs() == [0, 1, 1]


def test_what_comes_round_once_an_hour_is_claimed_by_itself(several, broker_url):
    """Of a claim that is not sent in time nothing may be left but the next round."""
    hourly, _ = IntervalSchedule.objects.get_or_create(every=1, period="hours")
    PeriodicTask.objects.update(interval=hourly)
    several._term = None  # it reads anew
    with CaptureQueriesContext(connection) as asked:
        until(lambda: several.tick() > 0)
    assert each_sent(broker_url) == [1, 1, 1]
    assert claims(asked) == 3


def test_what_is_to_run_once_runs_once_also_beside_others(several, broker_url):
    PeriodicTask.objects.filter(name="tack").update(one_off=True)
    while several.tick() == 0:
        pass
    assert each_sent(broker_url) == [1, 1, 1]
    assert dict(PeriodicTask.objects.values_list("name", "enabled")) == {
        "tack": True,
        "tick": True,
        "tock": True,
    }
    several._heap = None  # it comes round again
    several._schedule["tack"].last_run_at -= timedelta(hours=2)
    while several.tick() == 0:
        pass
    assert each_sent(broker_url) == [1, 1, 1]
    assert not PeriodicTask.objects.get(name="tack").enabled


def test_a_tick_is_not_looked_at_again_and_again_until_it_is_due(scheduler, broker_url):
    PeriodicTask.objects.filter(name="tick").update(last_run_at=timezone.now())
    PeriodicTask.objects.exclude(name="tick").delete()
    scheduler._term = None  # it reads anew
    time.sleep(pause := scheduler.tick())
    assert 0 < pause <= 1
    ticks = 0
    while sent(broker_url) == 0:
        scheduler.tick()
        ticks += 1
    assert ticks <= 2
