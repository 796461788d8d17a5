"""Tests at another time: `python -m tests.support.at 2027-02-28T23:59:30 tests/unit` (UTC, then pytest's arguments).

Each process of the session has that clock, PostgreSQL too; it goes on from there. RabbitMQ's tools do not start by it.
"""

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.support.wrong_clock import WrongClock


def main(moment: str, *arguments: str) -> int:
    """Run pytest as if it were `moment`, in one process; its exit code."""
    ahead = datetime.fromisoformat(moment).replace(tzinfo=UTC) - datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        clock = WrongClock(Path(folder))
        clock.leap(hours=ahead.total_seconds() / 3600)
        command = [sys.executable, "-m", "pytest", "-n", "0", *arguments]
        done = subprocess.run(command, env=os.environ | clock.environment, check=False)
        clock.close()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
