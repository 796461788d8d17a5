"""What beat has done for the figures: with both brokers, and an audit that holds nobody up."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from kombu import Connection

from audit.models import AuditRun
from cockpit import queues, tasks
from cockpit.models import QueueDepth, Tally
from infra.broker.connection import connect, dead_letter_queue, message_queue
from infra.broker.queues import worker_queues
from infra.broker.transports import uses_redis
from tests.support.brokers import Broker, rabbitmq


@pytest.fixture(params=["valkey", "rabbitmq"])
def broker_in_use(request, monkeypatch):
    if request.param == "valkey":
        url = request.getfixturevalue("broker_url")
        with Broker(url).in_use(monkeypatch):
            yield
    else:
        with rabbitmq() as url, Broker(url).in_use(monkeypatch):
            yield


@pytest.mark.django_db
def test_queues_are_measured_also_those_that_are_not_there(broker_in_use):
    with connect() as broker:
        for queue, messages in ((message_queue(), 3), (dead_letter_queue(), 1)):
            bound = queue(broker.default_channel)
            bound.declare()
            with broker.Producer() as producer:
                for _ in range(messages):
                    producer.publish(b"{}", routing_key=queue.name, exchange="")
    now = timezone.now()
    queues.measure(now=now)
    found = dict(QueueDepth.objects.values_list("queue", "messages"))
    assert found[queues.SYNC] == 3
    assert found[queues.DEAD] == 1
    assert found.keys() == queues.measured().keys()


@pytest.mark.django_db
def test_one_channel_asks_for_all_queues_and_is_replaced_only_where_a_missing_one_closes_it(
    broker_in_use, monkeypatch
):
    workers = worker_queues(settings.WORKER_QUEUES, stack=settings.STACK_NAME, url=settings.BROKER_URL)
    with connect() as broker, broker.Producer() as producer:
        for queue, messages in ((message_queue(), 2), (workers[1], 5)):
            queue(broker.default_channel).declare()
            for _ in range(messages):
                producer.publish(b"{}", routing_key=queue.name, exchange="")
    opened, channel_of = [], Connection.channel
    monkeypatch.setattr(Connection, "channel", lambda self: opened.append(channel_of(self)) or opened[-1])
    queues.measure(now=timezone.now())
    found = dict(QueueDepth.objects.values_list("queue", "messages"))
    # Others are missing between the two that are there, and after them.
    assert found == {queues.SYNC: 2, queues.DEAD: 0, "convert": 0, "settle": 5, "sweeps": 0}
    assert len(opened) == (1 if uses_redis(settings.BROKER_URL) else 3)


def test_a_rollup_is_taken_when_beat_asks_for_it(two_systems):
    tasks.take_rollup()
    assert Tally.objects.count() == 1


def test_an_audit_is_run_and_kept_but_not_again_while_it_would_take_much_of_the_time(
    two_systems, venue, monkeypatch
):
    monkeypatch.setattr(tasks, "venue", lambda: venue)
    tasks.run_audit()
    run = AuditRun.objects.get()
    assert (run.broken, run.unchecked) == (0, [])
    AuditRun.objects.filter(pk=run.pk).update(seconds=600)
    tasks.run_audit()
    assert AuditRun.objects.count() == 1
    AuditRun.objects.filter(pk=run.pk).update(at=timezone.now() - timedelta(seconds=20 * 600 + 1))
    tasks.run_audit()
    assert AuditRun.objects.count() == 2
