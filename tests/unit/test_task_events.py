"""Task events last as long as somebody asks for them, and are sent together."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery.events import EventDispatcher
from kombu import Connection, Consumer, Queue
from kombu.asynchronous.timer import Timer

from infra.broker import task_events


@pytest.fixture
def state() -> SimpleNamespace:
    """What a remote command is given: the worker's consumer, with the event groups that it sends."""
    dispatcher = SimpleNamespace(groups={"worker"}, on_send_buffered=None)
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


def test_task_events_are_sent_together(state):
    with Connection("memory://task-events") as connection:
        dispatcher = EventDispatcher(connection, hostname="w", groups={"worker"}, buffer_group=["task"])
        heard: list[list[dict[str, Any]]] = []
        queue = Queue("heard", dispatcher.exchange, routing_key="#")
        with Consumer(connection.channel(), [queue], callbacks=[lambda body, message: heard.append(body)]):
            state.consumer.event_dispatcher = dispatcher
            task_events.enable_events(state)
            for number in range(40):
                dispatcher.send("task-received", uuid=str(number))
            due = [one for one in state.consumer.timer.queue if one.entry.fun.__name__ == "_send"]
            assert len(due) == 1
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.01)
            due[0].entry()
            connection.drain_events(timeout=1)
            assert [[event["uuid"] for event in body] for body in heard] == [[str(n) for n in range(40)]]
            dispatcher.send("task-succeeded", uuid="later")
            assert len([one for one in state.consumer.timer.queue if one.entry.fun.__name__ == "_send"]) == 2


def test_the_workers_own_command_is_replaced():
    from celery.worker.control import Panel

    assert Panel.data["enable_events"] is task_events.enable_events
