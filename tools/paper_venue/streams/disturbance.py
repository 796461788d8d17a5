"""How faults disturb the messages of one stream on their way to its listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from tools.paper_venue.faults import Fault, FaultKind

APART_SECONDS = 1e-6  # keeps what is late in its order


class _Listener(Protocol):
    def send(self, message: str) -> None: ...

    def cut(self) -> None: ...


class Disturbance:
    """What was held back, what was sent last, and until when messages are late."""

    def __init__(self) -> None:
        self._held: str | None = None
        self._last: str | None = None
        self._late_until = 0.0

    def pass_on(
        self, message: str, struck: Mapping[FaultKind, Fault], listeners: Callable[[], Iterable[_Listener]]
    ) -> None:
        """Hand the message to the listeners, or what the faults leave of it."""
        if FaultKind.STREAM_CUT in struck:
            for listener in listeners():
                listener.cut()
            return
        if FaultKind.STREAM_STALLED in struck:
            return
        sent = self._sequence(message, struck)
        loop = asyncio.get_running_loop()
        if fault := struck.get(FaultKind.STREAM_LATE):
            self._late_until = max(self._late_until + APART_SECONDS, loop.time() + fault.delay_seconds())
        if self._late_until <= loop.time():
            _deliver(sent, listeners)
            return
        loop.call_at(self._late_until, _deliver, sent, listeners)
        self._late_until += APART_SECONDS

    def _sequence(self, message: str, struck: Mapping[FaultKind, Fault]) -> list[str]:
        if FaultKind.STREAM_REORDERED in struck and self._held is None:
            self._held = message
            return []
        sent = [message]
        if self._held is not None:
            sent.append(self._held)
            self._held = None
        if FaultKind.STREAM_REPEATED in struck:
            sent.append(self._last or message)
        self._last = message
        return sent


def _deliver(messages: Iterable[str], listeners: Callable[[], Iterable[_Listener]]) -> None:
    for message in messages:
        for listener in listeners():
            listener.send(message)
