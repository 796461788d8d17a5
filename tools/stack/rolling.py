"""Replacing the programs of a running stack one after another by the code of now, while it goes on serving.

Invariant: nothing is touched unless the new code loads and its migrations are made; one program at a time is away, and
none while the one that it stands in for may not be back.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from tools.embedded import keys
from tools.stack import programs
from tools.stack.lifecycle import StackInfo, prepare
from tools.stack.readiness import StackFailed, log_tail
from tools.stack.supervision import ProcessInfo, Supervisor, configuration_file, wait_until

REPLACED_WITHIN_SECONDS = 120.0
# A program that ends sooner than this has not started.
SETTLED_SECONDS = 5
# Masters that replace their processes themselves, without a moment in which nobody serves.
SERVING = ("web", "stream")
WITHOUT_DATABASE = ("flower", "prices")
CONNECTED = "SELECT application_name FROM pg_stat_activity"

Tell = Callable[[str], object]


def roll(info: StackInfo, *, tell: Tell) -> None:
    """Load the new code once, migrate, then have web and stream replace their processes, and restart every other app.

    Raises: StackFailed, with the rest left as it is, when a step does not succeed.
    """
    if gone := modules_gone(info.var_dir):
        raise StackFailed(
            f"the running programs are started as {', '.join(gone)}, which this version has elsewhere: "
            "stop the stack and start it (make down up); nothing was changed"
        )
    keys.ensure(info.var_dir)  # what the new code wants besides
    for commands in ([programs.LOADS], programs.MIGRATIONS):
        for command in commands:
            tell(" ".join(command[1:]))
        prepare(commands, {**os.environ, **info.environment})
    supervisor = Supervisor(info.var_dir)
    apps = [each for each in supervisor.processes() if each.group == programs.APPS]
    masters = [_Master(each, info) for each in apps if each.name in SERVING]
    restarts = _Restarts(supervisor, info)
    others = [each.name for each in apps if each.name not in SERVING]
    # Who stands in for another goes last: by then the other has settled.
    for name in sorted(others, key=lambda name: name.endswith(programs.STANDBY)):
        started = time.monotonic()
        restarts.restart(name)
        tell(f"replaced {name} in {time.monotonic() - started:.1f} s")
    restarts.wait_settled(others)
    for master in masters:
        master.wait_replaced()
        tell(f"replaced {master.name}")


def modules_gone(var_dir: Path) -> list[str]:
    """What the supervisor of `var_dir` starts with `-m` and the code of now does not have."""
    started = set(re.findall(r" -m ([\w.]+)", configuration_file(var_dir).read_text()))
    return sorted(name for name in started if not _exists(name))


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it lies in is gone
        return False


class _Master:
    """A master that was told to replace its processes: a new one for each, before the old one ends."""

    def __init__(self, process: ProcessInfo, info: StackInfo) -> None:
        self.name = process.name
        self._var_dir = info.var_dir
        if process.pid is None:
            raise StackFailed(f"{self.name} does not run\n{log_tail(self._var_dir, self.name)}")
        self._process = psutil.Process(process.pid)
        self._old = self._process.children()
        self._process.send_signal(signal.SIGHUP)

    def wait_replaced(self) -> None:
        """Until the old ones have ended. Raises: StackFailed."""
        if not wait_until(
            lambda: not self._process.is_running() or self._is_replaced(),
            within_seconds=REPLACED_WITHIN_SECONDS,
        ):
            raise StackFailed(f"{self.name} was not replaced\n{log_tail(self._var_dir, self.name)}")
        if not self._process.is_running():
            raise StackFailed(f"{self.name} ended\n{log_tail(self._var_dir, self.name)}")

    def _is_replaced(self) -> bool:
        left = any(child.is_running() for child in self._old)
        return not left and len(self._process.children()) == len(self._old)


class _Restarts:
    """The programs that were restarted, one after another; each of them has to be up whenever the next one goes."""

    def __init__(self, supervisor: Supervisor, info: StackInfo) -> None:
        self._supervisor = supervisor
        self._info = info
        self._restarted: list[str] = []

    def restart(self, name: str) -> None:
        """Restart one, once the one that it stands in for has settled, and wait until it has loaded.

        Raises: StackFailed.
        """
        self.wait_settled(
            [partner] if (partner := name.removesuffix(programs.STANDBY)) in self._restarted else []
        )
        self._supervisor.restart(name)
        self._restarted.append(name)
        self._wait(self._restarted, self._has_loaded)

    def wait_settled(self, names: Sequence[str]) -> None:
        """Until each has stayed up and works: only then a standby can take over. Raises: StackFailed."""
        self._wait(names, self._has_settled)

    def _wait(self, names: Sequence[str], holds: Callable[[ProcessInfo, Collection[str]], bool]) -> None:
        lacking = list(names)

        def none_is_lacking() -> bool:
            try:
                connected = connected_to(self._info)
            except (
                psycopg.OperationalError
            ):  # moved to another host just now: nobody is known to be connected
                return False
            lacking[:] = [
                each.name
                for each in self._supervisor.processes()
                if each.name in names and not holds(each, connected)
            ]
            return not lacking

        if lacking and not wait_until(
            none_is_lacking, within_seconds=REPLACED_WITHIN_SECONDS, every_seconds=0.2
        ):
            told = "\n".join(
                f"{name} does not stay up\n{log_tail(self._info.var_dir, name)}" for name in lacking
            )
            raise StackFailed(told)

    @staticmethod
    def _has_loaded(process: ProcessInfo, connected: Collection[str]) -> bool:
        if process.pid is None:
            return False
        return process.name in WITHOUT_DATABASE or f"{process.name} {process.pid}" in connected

    @classmethod
    def _has_settled(cls, process: ProcessInfo, connected: Collection[str]) -> bool:
        stays = process.state == "RUNNING" and process.uptime_seconds >= SETTLED_SECONDS
        return stays and cls._has_loaded(process, connected)


def connected_to(info: StackInfo) -> set[str]:
    """The names (`config.settings`) of the processes that have a connection to either database."""
    names: set[str] = set()
    for url in {info.environment["DATABASE_URL"], info.environment["DESK_DATABASE_URL"]}:
        with psycopg.connect(url, connect_timeout=5) as connection:
            names.update(name for (name,) in connection.execute(CONNECTED))
    return names
