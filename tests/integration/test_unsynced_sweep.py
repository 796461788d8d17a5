"""The sweep for orders that no message brought: beat's row, the task that it names, and what that does."""

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.conf import settings as configured
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from acceptance import counter_client, pulling
from acceptance.models import AcceptedOrder
from counter.models import SyncOrder
from counter.orders import outbox
from counter.orders.outbox import DATED_AHEAD
from tests.support.factories import make_customer, make_option, place_open

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

TASK = "acceptance.pull_unsynced"
# However slow the machine is; beyond DATED_AHEAD an order would be taken for one that a wrong clock has dated.
LATER_MS = int(DATED_AHEAD.total_seconds() * 900)


@pytest.fixture(autouse=True)
def counter(two_systems: None, live_server: Any, settings: Any) -> Iterator[None]:
    """Counter's web on a port of its own, and a desk that knows where."""
    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    yield
    counter_client._session().close()
    counter_client._local.__dict__.clear()


def scheduled() -> Any:
    """What a worker runs for beat's row, with the row's arguments."""
    [row] = PeriodicTask.objects.filter(task=TASK, enabled=True)
    current_app.loader.import_default_modules()
    return current_app.tasks[row.task].apply(args=json.loads(row.args), kwargs=json.loads(row.kwargs)).get()


def placed(*, seconds_ago: float) -> int:
    order_id = place_open(make_customer(), make_option()).id
    at = timezone.now() - timedelta(seconds=seconds_ago)
    SyncOrder.objects.filter(pk=order_id).update(placed_at=at)
    return order_id


def test_beat_sends_it_every_few_seconds_to_a_queue_that_workers_consume():
    [row] = PeriodicTask.objects.select_related("interval").filter(task=TASK)
    assert row.enabled
    assert (row.interval.every, row.interval.period) == (5, "seconds")
    assert row.expire_seconds == 5  # what nobody fetched by then is not done twice
    route = current_app.amqp.router.route({"queue": row.queue} if row.queue else {}, row.task)
    assert route["queue"].name.rpartition(".")[2] in configured.WORKER_QUEUES


def test_what_no_message_brought_is_taken_in_and_acknowledged_once(monkeypatch):
    monkeypatch.setattr(pulling, "OVERDUE_AFTER_MS", LATER_MS)
    lost = [placed(seconds_ago=3600) for _ in range(3)]
    young = placed(seconds_ago=0)  # its message may be on its way
    assert scheduled() == len(lost)
    taken = AcceptedOrder.objects.values_list("order_id", "door")
    assert set(taken) == {(order_id, AcceptedOrder.Door.PULL) for order_id in lost}
    assert set(SyncOrder.objects.exclude(pk=young).values_list("state", flat=True)) == {"SYNCED"}
    assert SyncOrder.objects.get(pk=young).state == "PENDING"
    assert scheduled() == 0
    monkeypatch.setattr(pulling, "OVERDUE_AFTER_MS", 0)
    assert scheduled() == 1


def test_a_counter_that_is_away_is_no_error_and_the_next_sweep_takes_them_in(settings, live_server):
    order_id = placed(seconds_ago=60)
    with socket.create_server(("127.0.0.1", 0)) as unanswering:
        port = unanswering.getsockname()[1]
    settings.COUNTER_URL = f"http://127.0.0.1:{port}"  # nobody listens there now
    assert scheduled() == 0
    settings.COUNTER_URL = live_server.url
    assert scheduled() == 1
    assert AcceptedOrder.objects.get().order_id == order_id


def test_where_nothing_waits_one_thing_is_asked():
    order_id = placed(seconds_ago=2)
    ahead = placed(seconds_ago=-3600)
    now = timezone.now()
    found = outbox.unsynced(placed_before=now, limit=10)
    assert [event.order_id for event in found] == [order_id, ahead]
    outbox.acknowledge(order_ids=[order_id, ahead], now=now)
    with CaptureQueriesContext(connection) as asked:
        assert outbox.unsynced(placed_before=now, limit=10) == []
    assert len(asked) == 1
