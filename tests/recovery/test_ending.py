"""What does not end when its test asks it to is killed with all it has started, and that test fails by it."""

import subprocess
import sys

import psutil
import pytest

from tests.support import ending

STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"])
print(child.pid, flush=True)
child.wait()
"""


def test_a_program_that_does_not_end_is_killed_with_its_children_and_told():
    program = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    with program.stdout:
        child = psutil.Process(int(program.stdout.readline()))
        with pytest.raises(
            AssertionError, match=r"did not end within 0\.2 s[\s\S]*sleep[\s\S]*its last words"
        ):
            ending.end(program, within_seconds=0.2, log=lambda: "its last words")
    assert program.returncode == -9
    assert not child.is_running()


def test_what_has_ended_tells_how():
    program = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    program.wait(ending.ENDS_WITHIN_SECONDS)
    assert ending.end(program) == 3
