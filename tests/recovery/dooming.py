"""Having processes do their work and die at a point of it: the test's side of `tests.recovery.doomed`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.recovery.points import Work
from tests.support import ending
from tests.support.databases import environment

ROOT = Path(__file__).resolve().parents[2]


class Doomed:
    """The process that forks one that is killed for each test."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.recovery.doomed"],
            cwd=ROOT,
            env={**os.environ, **environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, work: Work, point: str, settings: dict[str, str]) -> int:
        """Set a process to work; its pid."""
        assert self.process.stdin is not None
        task = {"work": work, "point": point, "settings": settings}
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        return self._heard()["pid"]

    def end(self) -> int:
        """How it ended: 0, or less the signal that killed it."""
        return self._heard()["status"]

    def stop(self) -> None:
        """End the process that forks."""
        ending.end(self.process)
        self.process.communicate()

    def _heard(self) -> dict[str, int]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


def catches_sigterm(pid: int) -> bool:
    """Whether the process has a handler of its own: it is past its start."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)
