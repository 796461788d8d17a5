"""The test session's servers: two databases and a broker, each worker with its own."""

import os

import pytest
import redis
from django.conf import settings
from django.db import connections


@pytest.mark.django_db(databases=["default", "desk"])
def test_both_databases_are_ours():
    for alias in ("default", "desk"):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT current_database()")
            [name] = cursor.fetchone()
        assert name == connections[alias].settings_dict["NAME"]
        assert name.startswith("test_")


@pytest.mark.django_db(databases=["default", "desk"])
def test_databases_are_two_and_named_after_the_worker():
    names = {connections[alias].settings_dict["NAME"] for alias in ("default", "desk")}
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    assert len(names) == 2
    assert all(name.endswith(worker) for name in names)


def test_broker_answers_and_is_empty(broker_url):
    assert broker_url == settings.BROKER_URL
    with redis.Redis.from_url(broker_url) as client:
        assert client.dbsize() == 0
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_broker_refuses_who_does_not_know_the_password(broker_url):
    stranger = broker_url.replace(broker_url.split("@")[0], "redis://")
    with redis.Redis.from_url(stranger) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
