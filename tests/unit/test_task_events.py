"""Task events last as long as somebody asks for them."""

from types import SimpleNamespace

import pytest
from kombu.asynchronous.timer import Timer

from infra.broker import task_events


@pytest.fixture
def state() -> SimpleNamespace:
    """What a remote command is given: the worker's consumer, with the event groups that it sends."""
    dispatcher = SimpleNamespace(groups={"worker"})
    return SimpleNamespace(consumer=SimpleNamespace(timer=Timer(), event_dispatcher=dispatcher))


def test_task_events_begin_when_they_are_asked_for_and_end_when_they_are_not(state):
    groups = state.consumer.event_dispatcher.groups
    task_events.enable_events(state)
    assert groups == {"worker", "task"}
    task_events.enable_events(state)
    entries = [one.entry for one in state.consumer.timer.queue if not one.entry.canceled]
    assert len(entries) == 1, "each asking puts the end off"
    entries[0]()
    assert groups == {"worker"}


def test_the_workers_own_command_is_replaced():
    from celery.worker.control import Panel

    assert Panel.data["enable_events"] is task_events.enable_events
