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
    process.send_signal(asked_by)
    return ended(process, within_seconds=within_seconds, log=log)


def ended(
    process: subprocess.Popen,
    *,
    within_seconds: float = ENDS_WITHIN_SECONDS,
    log: Callable[[], str] = str,
) -> int:
    """Exit code of a program that has been asked to end.

    It is asked once: Python takes its signal handlers away while it ends, and a second signal would kill it then.

    Raises: as `end`.
    """
    family = []
    with suppress(psutil.Error):
        asked = psutil.Process(process.pid)
        family = [asked, *asked.children(recursive=True)]
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
