"""A task that waited too long is dropped by the one clock."""

from datetime import timedelta

import pytest

from infra.broker.task_expiry import Request
from infra.coordination import clock
from infra.coordination.clock import ClockUnknown


def received(expires):
    request = Request.__new__(Request)
    request._expires, request.id = expires, "a task"
    return request


@pytest.mark.parametrize(("seconds", "is_dropped"), [(-1, True), (60, None)])
def test_a_task_expires_by_the_clock_of_the_database(seconds, is_dropped):
    assert received(clock.of("default").now() + timedelta(seconds=seconds)).maybe_expire() is is_dropped


def test_a_task_that_never_expires_is_never_dropped():
    assert received(None).maybe_expire() is None


def test_while_the_time_is_not_known_no_task_expires(monkeypatch):
    expires = clock.of("default").now() - timedelta(hours=1)

    def unknown():
        raise ClockUnknown

    monkeypatch.setattr(clock.of("default"), "now", unknown)
    assert received(expires).maybe_expire() is None
