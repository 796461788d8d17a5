"""The load process as the bench sees it: made ready, let go, and asked for what came of it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tools.bench.load.job import Job, Outcome

ROOT = Path(__file__).resolve().parents[3]


class LoadFailed(Exception):
    """The load process ended before it told what came of its job."""


class LoadProcess:
    """A load process that waits for its start."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def go(self) -> None:
        """Start the clock."""
        self._say("go")

    def outcome(self) -> Outcome:
        """Wait for the end. Raises: LoadFailed."""
        return msgspec.json.decode(self._heard(), type=Outcome)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _heard(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailed(f"the load process ended with {self._process.wait()}")
        return line


@contextmanager
def prepared(job: Job) -> Iterator[LoadProcess]:
    """A load process whose requests are built and whose connections stand. Raises: LoadFailed."""
    command = [sys.executable, "-m", "tools.bench.load"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        load = LoadProcess(process)
        load._say(msgspec.json.encode(job).decode())
        load._heard()
        yield load
    finally:
        process.kill()
        process.communicate()


def run(job: Job) -> Outcome:
    """Send one job and wait for what came of it. Raises: LoadFailed."""
    with prepared(job) as load:
        load.go()
        return load.outcome()
