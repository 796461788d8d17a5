"""`tpcb`: pgbench's TPC-B on the same server, prepared, 8 clients: the reference that a database person knows."""

import os
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tools.bench.cpu import per_order_ms
from tools.bench.load.counts import percentile
from tools.bench.peers.run import PeerFailed
from tools.bench.session import Session
from tools.bench.watch import Watch
from tools.embedded import postgres

MAIN = "tps"
DATABASE = "tpcb"
CLIENTS = 8
THREADS = 2


def prepare(session: Session) -> None:
    """Fill the tables."""
    session.servers.new_databases(DATABASE)
    _pgbench(session, "--initialize", "--scale", str(session.sizes.tpcb_scale), "--quiet")


def measure(session: Session) -> dict[str, Any]:
    """Transactions a second, milliseconds of each from pgbench's own log, and CPU milliseconds of each by program."""
    seconds = session.sizes.tpcb_seconds
    watch = Watch(lambda: {"postgres": session.servers.processes["postgres"].pid})
    with tempfile.TemporaryDirectory() as folder, session.without_stack():
        used = _cpu_seconds(watch)
        _pgbench(
            session,
            *("--client", str(CLIENTS), "--jobs", str(THREADS), "--time", str(seconds)),
            *("--protocol", "prepared", "--log", "--no-vacuum"),
            folder=folder,
        )
        used = {name: after - used[name] for name, after in _cpu_seconds(watch).items()}
        took_us = [
            int(line.split()[2])
            for log in Path(folder).glob("pgbench_log.*")
            for line in log.read_text().splitlines()
        ]
    if not took_us:
        raise PeerFailed("tpcb: not one transaction was done")
    p50, p99 = (percentile(took_us, share) for share in (0.50, 0.99))
    return {
        "tps": len(took_us) / seconds,
        "p50_ms": (p50 or 0) / 1000,
        "p99_ms": (p99 or 0) / 1000,
        "cpu_ms": per_order_ms(used, len(took_us)),
    }


def _cpu_seconds(watch: Watch) -> dict[str, float]:
    """PostgreSQL's so far, and that of the children of this process that have ended: pgbench."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {**watch.cpu_seconds(), "pgbench": ended.ru_utime + ended.ru_stime}


def _pgbench(session: Session, *arguments: str, folder: str | None = None) -> None:
    """Raises: PeerFailed."""
    program = postgres.installed() / "bin" / "pgbench"
    done = subprocess.run(
        [str(program), *arguments, "-d", session.servers.database_url(DATABASE)],
        check=False,
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise PeerFailed(f"tpcb: {done.stderr[-3000:]}")
