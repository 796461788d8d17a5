"""Start and stop the stack: servers, then migrations, then the rest; all of it or none.

Invariant: what a killed supervisor left behind is ended before anything is started in its place.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import redis

from config.embedded import places, processes, running_state
from config.stack import programs, supervision
from config.stack.supervision import Supervisor, wait_until

ROOT = Path(__file__).resolve().parents[2]
SERVERS_READY_WITHIN_SECONDS = 60.0
WEB_READY_WITHIN_SECONDS = 60.0
STOPPED_WITHIN_SECONDS = 75.0
LOG_TAIL_LINES = 15


class StackAlreadyRunning(Exception):
    """A stack runs for this VAR_DIR; `info` says where."""

    def __init__(self, info: "StackInfo") -> None:
        super().__init__(f"already running at {info.web_url} (supervisor {info.pid})")
        self.info = info


class StackFailed(Exception):
    """A part of the stack did not come up; everything that had started was stopped again."""


@dataclass(frozen=True, kw_only=True)
class StackInfo:
    """A running stack: its supervisor, its address and the environment that its processes got."""

    var_dir: Path
    pid: int
    started_at: datetime
    web_url: str
    flower_url: str
    environment: dict[str, str]

    @property
    def processes(self) -> list[supervision.ProcessInfo]:
        return Supervisor(self.var_dir).processes()


def running(var_dir: Path) -> StackInfo | None:
    """The stack of `var_dir`, or None when its supervisor is not alive."""
    var_dir = places.absolute(var_dir)
    state = running_state(var_dir)
    if state is None:
        return None
    return StackInfo(
        var_dir=var_dir,
        pid=state["pid"],
        started_at=datetime.fromisoformat(state["started_at"]),
        web_url=state["web_url"],
        flower_url=state["flower_url"],
        environment=state["environment"],
    )


def start(
    *,
    var_dir: Path,
    given: Mapping[str, str] | None = None,
    attached: bool = True,
    tell: Callable[[str], object] = lambda line: None,
) -> StackInfo:
    """Bring the whole stack up and return when it serves.

    `given` is the environment (default: ours); `attached` ends the stack when the calling thread ends, however
    it ends; `tell` gets one line for each step.

    Raises: StackAlreadyRunning; StackFailed with the end of the log that shows why.
    """
    given = dict(os.environ if given is None else given)
    var_dir = places.absolute(var_dir)
    var_dir.mkdir(parents=True, exist_ok=True)
    with _starting(var_dir):
        if (info := running(var_dir)) is not None:
            raise StackAlreadyRunning(info)
        _end_leftovers(var_dir)
        plan = programs.plan(var_dir=var_dir, given=given)
        environment = given | plan.environment
        supervisor = _start_supervisor(plan, environment, attached=attached)
        try:
            tell("servers: " + " ".join(p.name for p in plan.programs if p.group == programs.SERVERS))
            _wait_for_servers(plan, supervisor)
            for database in ("default", "desk"):
                tell(f"migrate {database}")
                _migrate(database, environment)
            Supervisor(var_dir).start_group(programs.APPS)
            tell("apps: " + " ".join(p.name for p in plan.programs if p.group == programs.APPS))
            _wait_for(lambda: _accepts(plan.web_url), "web", plan, supervisor, WEB_READY_WITHIN_SECONDS)
        except BaseException:
            stop(var_dir=var_dir)
            raise
    info = running(var_dir)
    if info is None:
        raise StackFailed(f"the supervisor ended\n{_tail(var_dir, 'supervisord')}")
    return info


def stop(*, var_dir: Path) -> bool:
    """Stop the stack of `var_dir`, apps before servers, and leave nothing of it; True when there was one."""
    var_dir = places.absolute(var_dir)
    info = running(var_dir)
    if info is not None:
        with suppress(psutil.NoSuchProcess):
            processes.end([psutil.Process(info.pid)], within_seconds=STOPPED_WITHIN_SECONDS)
    _end_leftovers(var_dir)
    places.state_file(var_dir).unlink(missing_ok=True)
    return info is not None


def remove(*, var_dir: Path) -> None:
    """Stop the stack and delete all its data, those outside `var_dir` included."""
    var_dir = places.absolute(var_dir)
    stop(var_dir=var_dir)
    data = var_dir / "postgres"
    outside = [data.resolve().parent] if data.is_symlink() else []
    for folder in (*outside, places.socket_folder(var_dir), var_dir):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _starting(var_dir: Path) -> Iterator[None]:
    """Let one start at a time pass; the second finds the stack of the first running."""
    with (var_dir / ".starting").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _end_leftovers(var_dir: Path) -> None:
    """End what a killed supervisor left: by the mark in the environment, PostgreSQL's also by its data folder."""
    left = processes.marked(var_dir=var_dir) + processes.working_in(var_dir / "postgres", name="postgres")
    servers = [process for process in left if _is_postgres(process)]
    processes.end([process for process in left if process not in servers])
    processes.end(servers, politely=signal.SIGINT)


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return process.name() == "postgres"
    except psutil.Error:
        return False


def _start_supervisor(
    plan: programs.Plan, environment: dict[str, str], *, attached: bool
) -> subprocess.Popen:
    places.private_folder(plan.var_dir / "log")
    places.private_folder(places.socket_folder(plan.var_dir))
    places.private_folder(plan.var_dir / "venue")
    configuration = plan.var_dir / "supervisord.conf"
    places.write_private(configuration, supervision.configuration(plan))
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
    if attached:
        command = [sys.executable, "-m", "config.stack.launch", "supervisord", "SIGTERM", "--", *command]
    with places.log_file(plan.var_dir, "supervisord").open("a") as log:
        # A session of its own: Ctrl-C reaches only us, and we stop things in order.
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment | processes.mark(var_dir=plan.var_dir, program="supervisord"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    state = {
        "pid": started.pid,
        "created": psutil.Process(started.pid).create_time(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "web_url": plan.web_url,
        "flower_url": plan.flower_url,
        "environment": plan.environment,
    }
    places.write_private(places.state_file(plan.var_dir), json.dumps(state, indent=1))
    return started


def _wait_for_servers(plan: programs.Plan, supervisor: subprocess.Popen) -> None:
    urls = plan.environment
    names = {program.name for program in plan.programs}
    checks: dict[str, Callable[[], bool]] = {
        "postgres": lambda: _databases_answer([urls["DATABASE_URL"], urls["DESK_DATABASE_URL"]]),
        "valkey": lambda: _broker_answers(urls["BROKER_URL"]),
        "venue": lambda: _accepts(urls["VENUE_URL"]),
    }
    for name, check in checks.items():
        if name in names:
            _wait_for(check, name, plan, supervisor, SERVERS_READY_WITHIN_SECONDS)


def _wait_for(
    check: Callable[[], bool], name: str, plan: programs.Plan, supervisor: subprocess.Popen, seconds: float
) -> None:
    def settled() -> bool:
        return check() or supervisor.poll() is not None

    if not wait_until(settled, within_seconds=seconds):
        raise StackFailed(f"{name} does not answer\n{_tail(plan.var_dir, name)}")
    if supervisor.poll() is not None:
        raise StackFailed(f"the supervisor ended\n{_tail(plan.var_dir, 'supervisord')}")


def _databases_answer(urls: list[str]) -> bool:
    try:
        for url in urls:
            psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _broker_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _accepts(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port or 80), timeout=2).close()
    except OSError:
        return False
    return True


def _migrate(database: str, environment: dict[str, str]) -> None:
    command = [
        sys.executable,
        "manage.py",
        "migrate",
        "--database",
        database,
        "--no-input",
        "--verbosity",
        "1",
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise StackFailed(f"migrate --database {database} failed\n{(done.stdout + done.stderr)[-3000:]}")


def _tail(var_dir: Path, program: str) -> str:
    try:
        lines = places.log_file(var_dir, program).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(lines[-LOG_TAIL_LINES:])
