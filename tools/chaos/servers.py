"""Restarting PostgreSQL the hard way, cutting its connections, and emptying the broker."""

import random
import signal

import psutil
import psycopg
import redis

from tools.chaos.injections import Blow, Injection
from tools.chaos.programs import NotRunning, main_process
from tools.stack.lifecycle import StackInfo

BACKENDS = """
    SELECT pid FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database() ORDER BY pid
"""
CUT_SHARE = 0.5


def server_injections(info: StackInfo, *, broker_url: str) -> list[Injection]:
    """Those of the servers that belong to the stack; `broker_url` leads past any proxy."""
    names = {process.name for process in info.processes}
    found: list[Injection] = [Blow("cut:postgres", lambda seed: _cut_connections(info, seed))]
    if "postgres" in names:
        found.append(Blow("quit:postgres", lambda seed: _postmaster(info).send_signal(signal.SIGQUIT)))
        found.append(Blow("kill-child:postgres", lambda seed: _kill_backend(info, seed)))
    if "valkey" in names:
        found.append(Blow("wipe:valkey", lambda seed: _wipe(broker_url)))
    return found


def _postmaster(info: StackInfo) -> psutil.Process:
    """The server itself: the supervised process, or the one below it that runs as another user."""
    first = main_process(info, "postgres")
    for process in (first, *first.children(recursive=True)):
        if process.name() == "postgres":
            return process
    raise NotRunning("postgres has not started its server")


def _backends(connection: psycopg.Connection) -> list[int]:
    return [pid for (pid,) in connection.execute(BACKENDS)]


def _url(info: StackInfo, seed: int) -> str:
    name = random.Random(seed).choice(("DATABASE_URL", "DESK_DATABASE_URL"))
    return info.environment[name]


def _cut_connections(info: StackInfo, seed: int) -> None:
    """End half of the connections of one database, busy or not."""
    chance = random.Random(seed)
    with psycopg.connect(_url(info, seed), autocommit=True, connect_timeout=5) as connection:
        for pid in _backends(connection):
            if chance.random() < CUT_SHARE:
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])


def _kill_backend(info: StackInfo, seed: int) -> None:
    """Kill one server process, upon which PostgreSQL ends all others and recovers."""
    with psycopg.connect(_url(info, seed), autocommit=True, connect_timeout=5) as connection:
        pids = _backends(connection)
    ours = {process.pid: process for process in _postmaster(info).children()}
    # Numbers of another namespace are not ours: then any child that serves a client will do.
    killable = [ours[pid] for pid in pids if pid in ours] or list(ours.values())
    if not killable:
        raise NotRunning("nobody is connected to postgres")
    random.Random(seed).choice(killable).kill()


def _wipe(broker_url: str) -> None:
    with redis.Redis.from_url(broker_url, socket_timeout=2) as client:
        client.flushall()
