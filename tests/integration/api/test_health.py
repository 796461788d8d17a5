"""Health checks: alive without any I/O, ready while the database answers."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from counter.api import health
from infra.broker.canary import note_return
from infra.coordination.leadership import CLAIM
from infra.models import Canary, Lease
from tests.support.asgi import AsgiClient
from tests.support.factories import make_option
from tests.support.silent import SilentServer


def test_alive_needs_nothing():
    """No database mark: touching one would fail the test."""
    response = AsgiClient().request("GET", "/healthz", headers={"Host": "of.a.probe"})
    assert (response.status_code, response.json()) == (200, {"alive": True})
    assert AsgiClient().request("HEAD", "/healthz").content == b""


@pytest.mark.django_db
def test_ready_while_the_database_answers(broker_url):
    make_option(now=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, ["feed", "feed somewhere 17"])
    for queue in settings.WORKER_QUEUES:
        note_return(queue=queue, sent_at=timezone.now().isoformat())
    response = Client().get("/readyz")
    assert response.status_code == 200
    body = response.json()
    assert body["ready"] is True
    assert {name: (check["ok"], check["required"]) for name, check in body["checks"].items()} == {
        "database": (True, True),
        "clock": (True, True),
        "broker": (True, False),
        "quotes": (True, False),
        "workers": (True, False),
        "leaders": (True, False),
    }
    assert body["checks"]["leaders"]["holders"]["feed"]["holder"] == "feed somewhere 17"
    assert 0 <= body["checks"]["quotes"]["age_seconds"] < 60


@pytest.mark.django_db
def test_a_canary_that_stays_away_is_told_by_queue(broker_url):
    """Workers that live and consume nothing are not seen in any other way."""
    for queue in settings.WORKER_QUEUES[1:]:
        note_return(queue=queue, sent_at=timezone.now().isoformat())
    Canary.objects.filter(queue="settle").update(returned_at=timezone.now() - timedelta(seconds=21))
    workers = Client().get("/readyz").json()["checks"]["workers"]
    assert workers["ok"] is False
    assert workers["queues"]["convert"] == {"age_seconds": None, "round_trip_ms": None}
    assert 21 < workers["queues"]["settle"]["age_seconds"] < 60
    assert workers["queues"]["sweeps"]["age_seconds"] < 20
    assert workers["queues"]["sweeps"]["round_trip_ms"] >= 0


@pytest.mark.django_db
def test_a_leader_that_is_silent_is_told(broker_url):
    assert Client().get("/readyz").json()["checks"]["leaders"]["ok"] is False, "nobody leads"
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, ["feed", "feed somewhere 17"])
    Lease.objects.update(renewed_at=timezone.now() - timedelta(seconds=6))
    leaders = Client().get("/readyz").json()["checks"]["leaders"]
    assert leaders["ok"] is False
    assert leaders["holders"]["feed"]["silent_seconds"] > 5


@pytest.mark.django_db
def test_ready_without_broker_and_quotes(settings):
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    settings.BROKER_TIMEOUT_SECONDS = 0.2
    response = Client().get("/readyz")
    assert response.status_code == 200
    checks = response.json()["checks"]
    assert (checks["broker"]["ok"], checks["quotes"]["ok"], checks["quotes"]["age_seconds"]) == (
        False,
        False,
        None,
    )


@pytest.mark.django_db
def test_a_broker_that_says_nothing_is_asked_once_and_the_next_one_after_it(settings, broker_url):
    with SilentServer() as silent:
        settings.BROKER_URL = f"redis://127.0.0.1:{silent.port}/0"
        assert Client().get("/readyz").json()["checks"]["broker"]["ok"] is False
        assert silent.connections == 1
        settings.BROKER_URL += f";{broker_url}"
        assert Client().get("/readyz").json()["checks"]["broker"]["ok"] is True


@pytest.mark.django_db
def test_not_ready_while_the_database_does_not_answer(monkeypatch, broker_url):
    def no_answer():
        raise OperationalError("password is hunter2")

    monkeypatch.setattr(health, "_ask_database", no_answer)
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["ready"] is False
    assert response.json()["checks"]["database"]["error"] == "OperationalError"
    assert "hunter2" not in response.content.decode()
