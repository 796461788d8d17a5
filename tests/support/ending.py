"""Ending what tests have started: what does not end when it is asked is killed and reaped, and the test fails by it."""

import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

import psutil

ENDS_WITHIN_SECONDS = 20.0


def end(
    process: subprocess.Popen,
    *,
    asked_by: int = signal.SIGTERM,
    within_seconds: float = ENDS_WITHIN_SECONDS,
    log: Callable[[], str] = str,
) -> int:
    """Ask a program to end, and return its exit code; `log` is what it has written.

    Raises: AssertionError when it had to be killed, with its processes that were left and where they waited.
    """
    family = [psutil.Process(process.pid)] if process.poll() is None else []
    for parent in tuple(family):
        with suppress(psutil.Error):
            family += parent.children(recursive=True)
        process.send_signal(asked_by)
    try:
        return process.wait(within_seconds)
    except subprocess.TimeoutExpired:
        left = [told for each in family if (told := _told(each))]
    finally:
        kill(process, family)
    raise AssertionError(
        f"{process.args!r} did not end within {within_seconds} s and was killed; left were {left}; it wrote:\n"
        + log()[-3000:]
    )


def kill(process: subprocess.Popen, family: list[psutil.Process] | None = None) -> None:
    """Kill and reap a program, and the processes that it has started."""
    left = list(family or [])
    with suppress(psutil.Error):
        left += psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.kill()
        process.wait()
    for each in left:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs([each for each in left if each.pid != process.pid], timeout=ENDS_WITHIN_SECONDS)


def _told(process: psutil.Process) -> str:
    """The process, and what it waits for in the kernel; empty when it has ended."""
    with suppress(psutil.Error, OSError):
        if process.status() != psutil.STATUS_ZOMBIE:
            with open(f"/proc/{process.pid}/wchan") as place:
                return f"{process.pid} {process.name()} in {place.read()}"
    return ""
