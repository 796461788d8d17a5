"""The supervisor's guard outlives any answer of its supervisor, and what the machine has no room for."""

import http.client
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

import pytest

from tools.stack import guard
from tools.stack.guard import Guard

SHORT = [sys.executable, "-c", "import time; time.sleep(1.2)"]


@pytest.fixture(autouse=True)
def own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(guard, "AGAIN_AFTER_SECONDS", 0.3)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Answering:
    """A supervisor that answers in turn what it is told to, and then well."""

    def __init__(self, *first: Exception) -> None:
        self.answering = list(first)
        self.started: list[str] = []

    def __call__(self, var_dir: Path) -> "Answering":
        return self

    def answers(self) -> bool:
        if self.answering:
            raise self.answering.pop(0)
        return True

    def start_group(self, group: str) -> None:
        self.started.append(group)


def run(seconds: float, command: list[str] = SHORT) -> tuple[int, float]:
    """The guard's exit code, told to end after so many seconds, and how long it then took."""
    watching = Guard(var_dir=Path(), command=command)
    told: list[float] = []

    def stop() -> None:
        told.append(time.monotonic())
        watching._stop(signal.SIGTERM, None)

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        code = watching.run()
    finally:
        timer.cancel()
    return code, time.monotonic() - told[0]


def test_half_an_answer_ends_no_guard(monkeypatch):
    supervisor = Answering(http.client.BadStatusLine(""), http.client.IncompleteRead(b""), expat.ExpatError())
    monkeypatch.setattr(guard, "Supervisor", supervisor)
    run(5.0)
    assert supervisor.answering == []
    assert supervisor.started  # of the second supervisor and those after it


def test_a_machine_without_room_for_another_process_is_tried_again(monkeypatch):
    supervisor, tries = Answering(), []
    monkeypatch.setattr(guard, "Supervisor", supervisor)
    start = subprocess.Popen

    def full(command: list[str]) -> subprocess.Popen[bytes]:
        tries.append(command)
        if len(tries) in (2, 3):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return start(command)

    monkeypatch.setattr(guard.subprocess, "Popen", full)
    run(6.0)
    assert len(tries) >= 4
    assert supervisor.started


@pytest.mark.timed
def test_told_to_end_between_two_supervisors_it_starts_no_other(monkeypatch):
    monkeypatch.setattr(guard, "AGAIN_AFTER_SECONDS", 60.0)
    monkeypatch.setattr(guard, "Supervisor", Answering())
    started = []
    start = subprocess.Popen
    monkeypatch.setattr(guard.subprocess, "Popen", lambda command: started.append(command) or start(command))
    code, seconds = run(2.0)
    assert (code, len(started)) == (0, 1)
    assert seconds < 2


def test_one_that_never_answered_ends_with_its_supervisors_code(monkeypatch):
    """A configuration that is wrong is told at once, not tried for ever."""
    monkeypatch.setattr(guard, "Supervisor", Answering(*[OSError()] * 1000))
    watching = Guard(var_dir=Path(), command=[sys.executable, "-c", "import sys; sys.exit(2)"])
    assert watching.run() == 2


def test_a_supervisor_is_looked_at_five_times_a_second_and_no_more(monkeypatch):
    monkeypatch.setattr(guard, "Supervisor", Answering())
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    _, took = run(1.0)
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before < 25
    assert took < 1, "it still does what it is told"
