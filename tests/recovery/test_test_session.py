"""A test session that is ended early leaves neither processes nor data."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support import ending
from tools.embedded import processes
from tools.stack.supervision import wait_until

ROOT = Path(__file__).resolve().parents[2]
SOON = 60.0


def servers(session: subprocess.Popen) -> list[str]:
    """Folders of the servers that a session started."""
    commands = [child.cmdline() for child in psutil.Process(session.pid).children()]
    return [command[command.index("--var-dir") + 1] for command in commands if "--var-dir" in command]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_session_that_is_interrupted_leaves_nothing(number):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "DJANGO_", "VAR_DIR"))
    }
    session = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "0",
            "-q",
            "tests/integration/order_queue/test_order_queue_recovery.py",
        ],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: servers(session) or session.poll() is not None, within_seconds=SOON)
        [var_dir, *_] = [Path(folder) for folder in servers(session)]
        assert wait_until((var_dir / "postgres" / "postmaster.pid").exists, within_seconds=SOON)
    finally:
        ending.end(session, asked_by=number, within_seconds=SOON)
    assert not var_dir.exists()
    assert processes.marked(var_dir=var_dir) == []
