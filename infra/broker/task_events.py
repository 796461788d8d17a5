"""Task events only while somebody watches, and gathered: Flower asks for them every few seconds, and they end when it
asks no more.

Celery would send them for ever once they were asked for, and each lot as soon as its loop turns; each message costs the
worker, the broker and all that listen.
"""

from typing import Any

from celery.worker.control import control_command
from celery.worker.control import enable_events as _enable_events  # type: ignore[attr-defined]

ENDS_AFTER_SECONDS = 30.0  # Flower asks every 5 s
GATHER_SECONDS = 0.5
GATHER_EVENTS = 1000  # at most: more are sent at once

_ending: Any = None  # the timer's entry that ends them


@control_command(name="enable_events")
def enable_events(state: Any) -> dict[str, str]:
    """Send task events for a while. Called in the worker's first process, by its event loop."""
    global _ending
    answer = _enable_events(state)
    if _ending is not None:
        _ending.cancel()
    _ending = state.consumer.timer.call_after(ENDS_AFTER_SECONDS, _end, [state.consumer])
    dispatcher = state.consumer.event_dispatcher
    if dispatcher is not None and not isinstance(dispatcher.on_send_buffered, _SentTogether):
        dispatcher.buffer_limit = GATHER_EVENTS
        dispatcher.on_send_buffered = _SentTogether(state.consumer)
    return answer


class _SentTogether:
    """Sends what one event dispatcher has gathered; a consumer that connects anew has another dispatcher."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._is_due = False

    def __call__(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._consumer.timer.call_after(GATHER_SECONDS, self._send)

    def _send(self) -> None:
        self._is_due = False
        if (dispatcher := self._consumer.event_dispatcher) is not None:
            dispatcher.flush()


def _end(consumer: Any) -> None:
    if (dispatcher := consumer.event_dispatcher) is not None:
        dispatcher.groups.discard("task")
