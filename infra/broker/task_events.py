"""Task events only while somebody watches: Flower asks for them every few seconds, and they end when it asks no more.

Celery would send them for ever once they were asked for; each costs the worker, the broker and all that listen.
"""

from typing import Any

from celery.worker.control import control_command
from celery.worker.control import enable_events as _enable_events  # type: ignore[attr-defined]

ENDS_AFTER_SECONDS = 30.0  # Flower asks every 5 s

_ending: Any = None  # the timer's entry that ends them


@control_command(name="enable_events")
def enable_events(state: Any) -> dict[str, str]:
    """Send task events for a while. Called in the worker's first process, by its event loop."""
    global _ending
    answer = _enable_events(state)
    if _ending is not None:
        _ending.cancel()
    _ending = state.consumer.timer.call_after(ENDS_AFTER_SECONDS, _end, [state.consumer])
    return answer


def _end(consumer: Any) -> None:
    if (dispatcher := consumer.event_dispatcher) is not None:
        dispatcher.groups.discard("task")
