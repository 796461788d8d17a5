"""Replacing the programs of a running stack one after another by the code of now, while it goes on serving.

Invariant: nothing is touched unless the new code loads and its migrations are made; one program at a time is away.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from tools.embedded import keys
from tools.stack import programs
from tools.stack.lifecycle import ROOT, StackInfo
from tools.stack.readiness import StackFailed, log_tail
from tools.stack.supervision import ProcessInfo, Supervisor, configuration_file, wait_until

REPLACED_WITHIN_SECONDS = 120.0
# A program that ends sooner than this has not started.
SETTLED_SECONDS = 5
# Masters that replace their processes themselves, without a moment in which nobody serves.
SERVING = ("web", "stream")
WITHOUT_DATABASE = ("flower", "prices")
CONNECTED = "SELECT FROM pg_stat_activity WHERE application_name = %s"

Tell = Callable[[str], object]


def roll(info: StackInfo, *, tell: Tell) -> None:
    """Load the new code once, migrate, then replace web and stream, and every other app after them.

    Raises: StackFailed, with the rest left as it is, when a step does not succeed.
    """
    if gone := modules_gone(info.var_dir):
        raise StackFailed(
            f"the running programs are started as {', '.join(gone)}, which this version has elsewhere: "
            "stop the stack and start it (make down up); nothing was changed"
        )
    keys.ensure(info.var_dir)  # what the new code wants besides
    for command in (programs.LOADS, *programs.MIGRATIONS):
        tell(" ".join(command[1:]))
        _run(command, info)
    supervisor = Supervisor(info.var_dir)
    apps = [each for each in supervisor.processes() if each.group == programs.APPS]
    for process in sorted(apps, key=lambda each: each.name not in SERVING):
        started = time.monotonic()
        if process.name in SERVING:
            _replace_processes(process, info)
        else:
            supervisor.restart(process.name)
            _wait_settled(process.name, supervisor, info)
        tell(f"replaced {process.name} in {time.monotonic() - started:.1f} s")


def modules_gone(var_dir: Path) -> list[str]:
    """What the supervisor of `var_dir` starts with `-m` and the code of now does not have."""
    started = set(re.findall(r" -m ([\w.]+)", configuration_file(var_dir).read_text()))
    return sorted(name for name in started if not _exists(name))


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it lies in is gone
        return False


def _run(command: tuple[str, ...], info: StackInfo) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **info.environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise StackFailed(f"{' '.join(command[1:])} failed\n{(done.stdout + done.stderr)[-3000:]}")


def _replace_processes(process: ProcessInfo, info: StackInfo) -> None:
    """Have its master start a new process for each old one, and wait until the old ones have ended."""
    if process.pid is None:
        raise StackFailed(f"{process.name} does not run\n{log_tail(info.var_dir, process.name)}")
    master = psutil.Process(process.pid)
    old = master.children()
    master.send_signal(signal.SIGHUP)

    def replaced() -> bool:
        return not any(child.is_running() for child in old) and len(master.children()) == len(old)

    if not wait_until(lambda: not master.is_running() or replaced(), within_seconds=REPLACED_WITHIN_SECONDS):
        raise StackFailed(f"{process.name} was not replaced\n{log_tail(info.var_dir, process.name)}")
    if not master.is_running():
        raise StackFailed(f"{process.name} ended\n{log_tail(info.var_dir, process.name)}")


def _wait_settled(name: str, supervisor: Supervisor, info: StackInfo) -> None:
    """Until it stays up and works: only then a standby can take over from the program that is next."""

    def settled() -> bool:
        found = {each.name: each for each in supervisor.processes()}[name]
        stays = found.state == "RUNNING" and found.uptime_seconds >= SETTLED_SECONDS
        return stays and (name in WITHOUT_DATABASE or _is_connected(f"{name} {found.pid}", info))

    if not wait_until(settled, within_seconds=REPLACED_WITHIN_SECONDS, every_seconds=0.2):
        raise StackFailed(f"{name} does not stay up\n{log_tail(info.var_dir, name)}")


def _is_connected(application_name: str, info: StackInfo) -> bool:
    """Whether the process of that name (`config.settings`) has a connection to either database."""
    for url in {info.environment["DATABASE_URL"], info.environment["DESK_DATABASE_URL"]}:
        with psycopg.connect(url, connect_timeout=5) as connection:
            if connection.execute(CONNECTED, [application_name]).fetchone() is not None:
                return True
    return False
