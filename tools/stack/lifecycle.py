"""Start and stop the stack: servers, then migrations, then the rest; all of it or none.

Invariant: what a killed supervisor left behind is ended before anything is started in its place.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from tools.embedded import places, processes, running_state
from tools.stack import programs, readiness, supervision
from tools.stack.phases import Phases
from tools.stack.readiness import RecordingsRefused, StackFailed
from tools.stack.supervision import Supervisor, wait_until

ROOT = Path(__file__).resolve().parents[2]
STOPPED_WITHIN_SECONDS = 75.0

# Supervisors that this process started, to be waited for when they end.
_started: dict[Path, subprocess.Popen] = {}


class StackAlreadyRunning(Exception):
    """A stack runs for this VAR_DIR; `info` says where."""

    def __init__(self, info: "StackInfo") -> None:
        super().__init__(f"already running at {info.web_url} (supervisor {info.pid})")
        self.info = info


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
    within_seconds: float = readiness.READY_WITHIN_SECONDS,
) -> StackInfo:
    """Bring the whole stack up and return when it serves.

    `given` is the environment (default: ours); `attached` ends the stack when the calling thread ends, however
    it ends; `tell` gets one line for each step; each program has to answer `within_seconds`.

    Raises: StackAlreadyRunning; RecordingsRefused with the line that shows why; StackFailed with the end of the log.
    """
    given = dict(os.environ if given is None else given)
    _check_recordings(given)
    var_dir = places.absolute(var_dir)
    var_dir.mkdir(parents=True, exist_ok=True)
    with _starting(var_dir):
        try:
            plan = programs.plan(var_dir=var_dir, given=given)
        except programs.NoSuchProgram as error:
            raise StackFailed(str(error)) from error
        return run(plan=plan, given=given, attached=attached, tell=tell, within_seconds=within_seconds)


def _check_recordings(given: Mapping[str, str]) -> None:
    """Let those who will play and price by the files of MARKET_DATA read them whole. Raises: RecordingsRefused."""
    names = [name for name in given.get("MARKET_DATA", "").split(",") if name]
    if not names:
        return
    if missing := [name for name in names if not Path(name).is_file()]:
        raise RecordingsRefused(f"MARKET_DATA names files that are not there: {', '.join(missing)}")
    checks = (
        ("tools.paper_venue", "--check", "--market-data", ",".join(names)),
        ("counter.market.chain", *names),
    )
    for module, *arguments in checks:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=dict(given),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RecordingsRefused(done.stderr.strip().splitlines()[-1])


def run(
    *,
    plan: programs.StackPlan,
    given: Mapping[str, str],
    attached: bool,
    tell: Callable[[str], object] = lambda line: None,
    within_seconds: float = readiness.READY_WITHIN_SECONDS,
) -> StackInfo:
    """Bring the programs of a plan up, group by group, with its preparations between the servers and the apps.

    Raises: as `start`.
    """
    if (info := running(plan.var_dir)) is not None:
        raise StackAlreadyRunning(info)
    _bury(plan.var_dir)
    _end_leftovers(plan.var_dir)
    environment = {**given, **plan.environment}
    supervisor = _start_supervisor(plan, environment, attached=attached)
    answering = partial(
        readiness.wait_for_group, plan=plan, supervisor=supervisor, within_seconds=within_seconds, tell=tell
    )
    took = Phases()
    try:
        if servers := plan.names(programs.SERVERS):
            tell(f"servers: {' '.join(servers)}")
            with took.measured("servers"):
                answering(programs.SERVERS)
        if plan.preparations:  # after a power cut, databases of other machines may come later than this one
            with took.measured("databases"):
                readiness.wait_for_databases(plan, within_seconds=within_seconds, tell=tell)
        for command in plan.preparations:
            tell(" ".join(command[1:]))
        with took.measured("preparations"):
            prepare(plan.preparations, environment)
        tell(f"apps: {' '.join(plan.names(programs.APPS))}")
        with took.measured("apps"):
            wait_until(lambda: Supervisor(plan.var_dir).answers(), within_seconds=within_seconds)
            Supervisor(plan.var_dir).start_group(programs.APPS)
            answering(programs.APPS)
        tell(f"up after {took}")
        info = running(plan.var_dir)
        if info is None:
            raise StackFailed(f"the supervisor ended\n{readiness.log_tail(plan.var_dir, 'supervisord')}")
    except BaseException:
        stop(var_dir=plan.var_dir)
        raise
    return info


def stop(*, var_dir: Path) -> bool:
    """Stop the stack of `var_dir`, apps before servers, and leave nothing of it; True when there was one."""
    var_dir = places.absolute(var_dir)
    info = running(var_dir)
    if info is not None:
        with suppress(psutil.NoSuchProcess):
            processes.end([psutil.Process(info.pid)], within_seconds=STOPPED_WITHIN_SECONDS)
    _bury(var_dir)
    _end_leftovers(var_dir)
    places.state_file(var_dir).unlink(missing_ok=True)
    sockets = places.socket_folder(var_dir)
    if not sockets.is_relative_to(var_dir):
        shutil.rmtree(sockets, ignore_errors=True)
    return info is not None


def remove(*, var_dir: Path) -> None:
    """Stop the stack and delete all its data, those outside `var_dir` included."""
    var_dir = places.absolute(var_dir)
    stop(var_dir=var_dir)
    data = var_dir / "postgres"
    outside = [data.resolve().parent] if data.is_symlink() else []
    for folder in (*outside, places.socket_folder(var_dir), var_dir):
        shutil.rmtree(folder, ignore_errors=True)


def _bury(var_dir: Path) -> None:
    """Take leave of a supervisor that this process started: an ended child stays a zombie until it is waited for."""
    if (ours := _started.pop(var_dir, None)) is not None:
        ours.terminate()  # does nothing to one that has ended
        ours.wait()


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
    plan: programs.StackPlan, environment: dict[str, str], *, attached: bool
) -> subprocess.Popen:
    places.private_folder(plan.var_dir / "log")
    places.private_folder(places.socket_folder(plan.var_dir))
    places.private_folder(plan.var_dir / "venue")
    configuration = supervision.configuration_file(plan.var_dir)
    places.write_private(configuration, supervision.configuration(plan))
    supervisord = (sys.executable, "-m", "tools.stack.supervisord", "-c", str(configuration))
    guard = (sys.executable, "-m", "tools.stack.guard", str(plan.var_dir), "--")
    command = [*guard, *_launched("supervisord"), *supervisord]
    if attached:
        command = [*_launched("guard"), *command]
    with places.log_file(plan.var_dir, "supervisord").open("a") as log:
        # A session of its own: Ctrl-C reaches only us, and we stop things in order.
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment | processes.mark(var_dir=plan.var_dir, program="guard"),
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
    _started[plan.var_dir] = started
    return started


def _launched(program: str) -> tuple[str, ...]:
    """What starts a program that ends with who started it."""
    return (sys.executable, "-m", "tools.stack.launch", program, "SIGTERM", "--")


def prepare(commands: Sequence[tuple[str, ...]], environment: dict[str, str]) -> None:
    """Run them side by side: each is of a database of its own. Raises: StackFailed, once all have ended."""
    begun = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]
    try:
        said = [process.communicate()[0] for process in begun]  # they say less than a pipe holds
    finally:
        for process in begun:
            process.kill()  # does nothing to one that has ended
            process.wait()
    for command, process, text in zip(commands, begun, said, strict=True):
        if process.returncode:
            raise StackFailed(f"{' '.join(command[1:])} failed\n{text[-3000:]}")
