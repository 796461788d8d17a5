"""`tpcb`: pgbench's TPC-B on the same server, prepared, 8 clients: the reference that a database person knows."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench.load.tally import percentile
from bench.session import Session
from config.embedded import postgres

MAIN = "tps"
DATABASE = "tpcb"
CLIENTS = 8
THREADS = 2
SCALE = 20  # more branches than clients, or they would measure each other's locks


def prepare(session: Session) -> None:
    """Fill the tables."""
    session.servers.new_databases(DATABASE)
    _pgbench(session, "--initialize", "--scale", str(SCALE), "--quiet")


def measure(session: Session) -> dict[str, Any]:
    """Transactions a second, and milliseconds of each from pgbench's own log."""
    seconds = session.sizes.tpcb_seconds
    with tempfile.TemporaryDirectory() as folder, session.without_stack():
        _pgbench(
            session,
            *("--client", str(CLIENTS), "--jobs", str(THREADS), "--time", str(seconds)),
            *("--protocol", "prepared", "--log", "--no-vacuum"),
            folder=folder,
        )
        took_us = [
            int(line.split()[2])
            for log in Path(folder).glob("pgbench_log.*")
            for line in log.read_text().splitlines()
        ]
    p50, p99 = (percentile(took_us, share) for share in (0.50, 0.99))
    return {"tps": len(took_us) / seconds, "p50_ms": (p50 or 0) / 1000, "p99_ms": (p99 or 0) / 1000}


def _pgbench(session: Session, *arguments: str, folder: str | None = None) -> None:
    program = postgres.installed() / "bin" / "pgbench"
    subprocess.run(
        [str(program), *arguments, "-d", session.servers.database_url(DATABASE)],
        check=True,
        cwd=folder,
        env=os.environ,
        capture_output=True,
    )
