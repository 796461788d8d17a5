"""A view of the state as it was a while ago: what a read from a lagging database shows.

It is the same state fed with the same events, only later; so it can be behind, but never wrong.
"""

from __future__ import annotations

from collections import deque

from tools.paper_venue.records import Event
from tools.paper_venue.state import State


class LaggingReplica:
    """Starts level with ``state`` and from then on shows each event ``lag_ms`` after it happened."""

    def __init__(self, state: State, *, lag_ms: int) -> None:
        self._state = state.clone()
        self._lag_ms = lag_ms
        self._waiting: deque[tuple[int, Event]] = deque()

    def feed(self, event: Event, *, now_ms: int) -> None:
        self.seen_at(now_ms=now_ms)
        self._waiting.append((now_ms, event))

    def seen_at(self, *, now_ms: int) -> State:
        while self._waiting and now_ms - self._waiting[0][0] >= self._lag_ms:
            self._state.apply(self._waiting.popleft()[1])
        return self._state
