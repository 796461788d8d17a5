"""Carrying a schedule out, and making everything whole again at its end, also after a failure.

Invariant: when `run` has returned, each injection that was begun has been ended.
"""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from tools.chaos.injections import Injection
from tools.chaos.schedule import Step, target_of

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.5
MENDED_WITHIN_SECONDS = 60.0


@dataclass(slots=True)
class Injected:
    """An injection that was begun, and when, by the monotonic clock; `ended` is None while it lasts."""

    name: str
    began: float
    ended: float | None = None

    @property
    def target(self) -> str:
        """What was broken."""
        return target_of(self.name)


class Storm:
    """Breaks and mends by the clock, in a thread of its own."""

    def __init__(self, steps: Sequence[Step], injections: Mapping[str, Injection]) -> None:
        self.injected: list[Injected] = []
        self.skipped: list[str] = []  # could not be begun: what it would break was broken already
        self.unmended: list[str] = []
        self._steps = list(steps)
        self._injections = injections
        self._lasting: list[tuple[float, Injected]] = []
        self._stopping = threading.Event()

    def run(self) -> None:
        """Follow the schedule from now on to its end, or to `stop`."""
        started = time.monotonic()
        try:
            for step in self._steps:
                self._wait_until(started + step.at)
                if self._stopping.is_set():
                    return
                self._begin(step, started)
            while self._lasting and not self._stopping.is_set():
                self._wait_until(min(until for until, _ in self._lasting))
        finally:
            self._mend_all()

    def lasts(self, faults: Collection[str], for_seconds_more: float) -> bool:
        """Whether one of these faults of the venue lasts, or has ended less than so many seconds ago."""
        since = time.monotonic() - for_seconds_more
        names = {f"fault:venue-{fault}" for fault in faults}
        return any(
            each.name in names and (each.ended is None or each.ended > since) for each in list(self.injected)
        )

    def stop(self) -> None:
        """Let go of everything now."""
        self._stopping.set()

    def _wait_until(self, moment: float) -> None:
        """Wait, and meanwhile end what has lasted long enough."""
        while True:
            now = time.monotonic()
            self._end_due(now)
            until = min([moment, *(due for due, _ in self._lasting)])
            if now >= moment or self._stopping.wait(max(0.0, until - now)):
                return

    def _begin(self, step: Step, started: float) -> None:
        injected = Injected(step.name, time.monotonic())
        try:
            self._injections[step.name].begin(step.seed)
        except Exception as error:  # noqa: BLE001 - what is down already cannot be broken
            log.info("could not inject", injection=step.name, error=repr(error))
            self.skipped.append(step.name)
            return
        log.info("injected", injection=step.name, seconds=step.seconds)
        self.injected.append(injected)
        self._lasting.append((started + step.ends_at, injected))

    def _end_due(self, now: float) -> None:
        due = [entry for entry in self._lasting if entry[0] <= now]
        self._lasting = [entry for entry in self._lasting if entry[0] > now]
        for _, injected in due:
            if not self._ended(injected):
                self._lasting.append((now + RETRY_SECONDS, injected))

    def _ended(self, injected: Injected) -> bool:
        try:
            self._injections[injected.name].end()
        except Exception as error:  # noqa: BLE001 - it is tried again
            log.info("not mended yet", injection=injected.name, error=repr(error))
            return False
        injected.ended = time.monotonic()
        return True

    def _mend_all(self) -> None:
        deadline = time.monotonic() + MENDED_WITHIN_SECONDS
        left = [injected for _, injected in self._lasting]
        while left := [injected for injected in left if not self._ended(injected)]:
            if time.monotonic() > deadline:
                self.unmended = [injected.name for injected in left]
                return
            time.sleep(RETRY_SECONDS)
        self._lasting = []
