"""Health checks: alive without any I/O, ready while the database answers."""

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from counter.api import health
from tests.support.factories import make_option


def test_alive_needs_nothing():
    """No database mark: touching one would fail the test."""
    response = Client().get("/healthz")
    assert (response.status_code, response.json()) == (200, {"alive": True})


@pytest.mark.django_db
def test_ready_while_the_database_answers(broker_url):
    make_option(now=timezone.now())
    response = Client().get("/readyz")
    assert response.status_code == 200
    body = response.json()
    assert body["ready"] is True
    assert {name: (check["ok"], check["required"]) for name, check in body["checks"].items()} == {
        "database": (True, True),
        "broker": (True, False),
        "quotes": (True, False),
    }
    assert 0 <= body["checks"]["quotes"]["age_seconds"] < 60


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
def test_not_ready_while_the_database_does_not_answer(monkeypatch, broker_url):
    def no_answer():
        raise OperationalError("password is hunter2")

    monkeypatch.setattr(health, "_ask_database", no_answer)
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["ready"] is False
    assert response.json()["checks"]["database"]["error"] == "OperationalError"
    assert "hunter2" not in response.content.decode()
