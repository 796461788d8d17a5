"""supervisord: its configuration from the plan, and its XML-RPC interface over a private socket.

Invariant: no secret stands in the configuration file; the programs inherit supervisord's environment.
"""

import itertools
import os
import shlex
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from tools.embedded import places
from tools.stack.programs import APPS, SERVERS, Program, StackPlan

RESTARTS_WITHOUT_END = 2**31 - 1
LOG_MAX_BYTES = 20 * 2**20
GROUP_PRIORITY = {SERVERS: 10, APPS: 20}  # started in this order, stopped in the reverse


@dataclass(frozen=True, kw_only=True)
class ProcessInfo:
    """One program as its supervisor sees it; unless it runs, `pid` is None and `uptime_seconds` 0.

    None, for signalling process 0 would signal the caller's whole group. `started_at` is when it was started last, in
    seconds since 1970, and 0 before that.
    """

    name: str
    group: str
    state: str
    pid: int | None
    started_at: int
    uptime_seconds: int


def socket_path(var_dir: Path) -> Path:
    return places.socket_folder(var_dir) / "supervisor.sock"


def configuration_file(var_dir: Path) -> Path:
    return var_dir / "supervisord.conf"


def configuration(plan: StackPlan) -> str:
    """Text of supervisord.conf; servers start at once, the rest when they are told to."""
    sections: list[tuple[str, dict[str, Any]]] = [
        ("unix_http_server", {"file": socket_path(plan.var_dir), "chmod": "0700"}),
        (
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        ("supervisord", _daemon(plan)),
        *((f"program:{program.name}", _program(plan, program)) for program in plan.programs),
    ]
    for group, members in itertools.groupby(plan.programs, key=lambda program: program.group):
        names = ",".join(program.name for program in members)
        sections.append((f"group:{group}", {"programs": names, "priority": GROUP_PRIORITY[group]}))
    return "\n".join(_section(title, entries) for title, entries in sections)


def _daemon(plan: StackPlan) -> dict[str, Any]:
    entries = {
        "nodaemon": "true",
        "silent": "true",
        "logfile": places.log_file(plan.var_dir, "supervisord"),
        "logfile_maxbytes": LOG_MAX_BYTES,
        "logfile_backups": 1,
        "pidfile": plan.var_dir / "supervisord.pid",
        "childlogdir": plan.var_dir / "log",
        "directory": Path(__file__).resolve().parents[2],
    }
    # Said outright, for else it warns that it runs as root.
    return entries | ({"user": "root"} if os.geteuid() == 0 else {})


def _program(plan: StackPlan, program: Program) -> dict[str, Any]:
    return {
        "command": shlex.join(program.command),
        "directory": Path(__file__).resolve().parents[2],
        "autostart": str(program.group == SERVERS).lower(),
        "autorestart": "true",
        "startsecs": program.settled_seconds,
        "startretries": RESTARTS_WITHOUT_END,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": program.stop_seconds,
        "stopasgroup": str(program.stops_as_group).lower(),
        "killasgroup": "true",  # a master that is cut short must not leave its workers
        "redirect_stderr": "true",
        "stdout_logfile": places.log_file(plan.var_dir, program.name),
        "stdout_logfile_maxbytes": LOG_MAX_BYTES,
        "stdout_logfile_backups": 1,
    }


def _section(title: str, entries: dict[str, Any]) -> str:
    # supervisord expands %(...)s and takes " ;" for a comment.
    lines = [f"{name} = {value}".replace("%", "%%") for name, value in entries.items()]
    return "\n".join([f"[{title}]", *lines, ""])


class Supervisor:
    """The running supervisord of one VAR_DIR; an OSError from any method means that it does not answer."""

    def __init__(self, var_dir: Path) -> None:
        self._url = f"unix://{socket_path(var_dir)}"

    def _call(self, method: str, *arguments: str | bool) -> Any:
        transport = SupervisorTransport(serverurl=self._url)
        # The host is never looked up: the transport speaks through the socket.
        with xmlrpc.client.ServerProxy("http://supervisor", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def processes(self) -> list[ProcessInfo]:
        return [
            ProcessInfo(
                name=entry["name"],
                group=entry["group"],
                state=entry["statename"],
                pid=entry["pid"] or None,
                started_at=entry["start"],
                uptime_seconds=max(0, entry["now"] - entry["start"]) if entry["pid"] else 0,
            )
            for entry in self._call("getAllProcessInfo")
        ]

    def answers(self) -> bool:
        try:
            return bool(self.processes())
        except OSError:
            return False

    def start_group(self, group: str) -> None:
        """Start every program of the group without waiting for it."""
        self._call("startProcessGroup", group, False)

    def restart(self, name: str) -> None:
        """Stop and start one program.

        Raises: KeyError for a name that is not in the stack.
        """
        process = {each.name: each for each in self.processes()}[name]
        full_name = f"{process.group}:{process.name}"
        if process.pid:
            self._call("stopProcess", full_name)
        self._call("startProcess", full_name, False)


def wait_until(
    condition: Callable[[], object], *, within_seconds: float, every_seconds: float = 0.05
) -> bool:
    """Whether `condition()` came true within the time."""
    until = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(every_seconds)
    return True
