"""Whether the programs that others wait for answer.

Invariant: what waits has a time limit, and its failure shows the end of the log that says why.
"""

import socket
import subprocess
import time
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis

from tools.embedded import places
from tools.stack.programs import StackPlan
from tools.stack.supervision import Supervisor, wait_until

# Giving up early throws away what has started, and the next start begins from nothing: web on a busy machine was seen
# to take more than 120.
READY_WITHIN_SECONDS = 600.0
STARTS_ALLOWED = 4  # of a program that ends again and again while it is waited for
LOOKS_EVERY_SECONDS = 1.0
SAYS_EVERY_SECONDS = 10.0
LOG_TAIL_LINES = 15


class StackFailed(Exception):
    """A part of the stack did not come up; everything that had started was stopped again."""


class RecordingsRefused(StackFailed):
    """A file of MARKET_DATA cannot be played; nothing was started."""


def wait_for_group(
    group: str,
    *,
    plan: StackPlan,
    supervisor: subprocess.Popen,
    within_seconds: float = READY_WITHIN_SECONDS,
    tell: Callable[[str], object] = lambda line: None,
) -> None:
    """Return when every program of the group that serves others answers; `tell` hears which one takes long.

    Raises: StackFailed when one does not within the time, or ends again and again, or the supervisor ends.
    """
    urls = plan.environment
    checks: dict[str, Callable[[], bool]] = {
        "postgres": lambda: databases_answer([urls["DATABASE_URL"], urls["DESK_DATABASE_URL"]]),
        "valkey": lambda: broker_answers(urls["BROKER_URL"]),
        "venue": lambda: accepts(urls["VENUE_URL"]),
        "web": lambda: accepts(plan.web_url),
        "stream": lambda: accepts(plan.stream_url),
    }
    for program in plan.programs:
        if program.group == group and program.name in checks:
            starts = _Starts(plan.var_dir, program.name)
            answered = wait_telling(
                partial(_decided, checks[program.name], supervisor, starts),
                what=program.name,
                within_seconds=within_seconds,
                tell=tell,
            )
            _require(answered and not starts.are_too_many, program.name, plan, supervisor)


def wait_for_databases(
    plan: StackPlan,
    *,
    within_seconds: float = READY_WITHIN_SECONDS,
    tell: Callable[[str], object] = lambda line: None,
) -> None:
    """Return when the plan's databases answer. Raises: StackFailed when they do not within the time."""
    names = ("DATABASE_URL", "DESK_DATABASE_URL")
    urls = [plan.environment[name] for name in names if name in plan.environment]
    if not wait_telling(
        lambda: databases_answer(urls), what="the databases", within_seconds=within_seconds, tell=tell
    ):
        raise StackFailed("the databases do not answer")


class _Starts:
    """How often a program was started, as seen now and then from outside."""

    def __init__(self, var_dir: Path, name: str) -> None:
        self._supervisor, self._name = Supervisor(var_dir), name
        self._starts: set[int] = set()
        self._look_at = 0.0

    def look(self) -> None:
        """Ask the supervisor, if the last time was a while ago."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOKS_EVERY_SECONDS
        with suppress(OSError, xmlrpc.client.Fault):  # it does not answer yet, or no more
            seen = {each.name: each.started_at for each in self._supervisor.processes()}
            if started_at := seen.get(self._name):
                self._starts.add(started_at)

    @property
    def are_too_many(self) -> bool:
        return len(self._starts) >= STARTS_ALLOWED


def _decided(check: Callable[[], bool], supervisor: subprocess.Popen, starts: _Starts) -> bool:
    """Whether there is nothing to wait for any more: it answers, or will not."""
    starts.look()
    return supervisor.poll() is not None or starts.are_too_many or check()


def wait_telling(
    condition: Callable[[], bool], *, what: str, within_seconds: float, tell: Callable[[str], object]
) -> bool:
    """Whether `condition()` came true within the time; `tell` hears now and then what is waited for."""
    waited = 0.0
    while waited < within_seconds:
        part = min(SAYS_EVERY_SECONDS, within_seconds - waited)
        if wait_until(condition, within_seconds=part):
            return True
        waited += part
        tell(f"waiting for {what}, {waited:.0f} s so far")
    return False


def _require(answered: bool, name: str, plan: StackPlan, supervisor: subprocess.Popen) -> None:
    if not answered:
        raise StackFailed(f"{name} does not answer\n{log_tail(plan.var_dir, name)}")
    if supervisor.poll() is not None:
        raise StackFailed(f"the supervisor ended\n{log_tail(plan.var_dir, 'supervisord')}")


def databases_answer(urls: list[str]) -> bool:
    try:
        for url in urls:
            psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def broker_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def accepts(url: str) -> bool:
    """Whether somebody accepts connections at the URL's host and port."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=2).close()
    except OSError:
        return False
    return True


def log_tail(var_dir: Path, program: str) -> str:
    try:
        lines = places.log_file(var_dir, program).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(lines[-LOG_TAIL_LINES:])
