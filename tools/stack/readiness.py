"""Whether the programs that others wait for answer.

Invariant: what waits has a time limit, and its failure shows the end of the log that says why.
"""

import socket
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis

from tools.embedded import places
from tools.stack.programs import StackPlan
from tools.stack.supervision import wait_until

READY_WITHIN_SECONDS = 120.0  # a first start on a busy machine was seen to take more than 60
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

    Raises: StackFailed when one does not within the time, or the supervisor ends.
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
            answered = wait_telling(
                partial(_ended_or, checks[program.name], supervisor),
                what=program.name,
                within_seconds=within_seconds,
                tell=tell,
            )
            _require(answered, program.name, plan, supervisor)


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


def _ended_or(check: Callable[[], bool], supervisor: subprocess.Popen) -> bool:
    return supervisor.poll() is not None or check()


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
