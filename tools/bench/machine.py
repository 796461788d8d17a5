"""The machine that the figures belong to."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from tools.bench.servers import Servers


def described(servers: Servers) -> dict[str, Any]:
    """Cores, memory, Python, how busy it is, and what the server says of itself."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "processor": _processor(),
        "load_average_at_start": load_average(),
        "python": platform.python_version(),
        "postgresql": servers.postgres_setting("server_version"),
        "fsync": servers.postgres_setting("fsync"),
        "synchronous_commit": servers.postgres_setting("synchronous_commit"),
    }


def load_average() -> float:
    """Processes that run or want to, over the last minute."""
    return round(os.getloadavg()[0], 2)


def commit() -> str | None:
    """The commit that is measured, with a plus if files differ from it; None where there is no repository."""
    root = Path(__file__).resolve().parents[2]
    try:
        named = _git(root, "rev-parse", "--short=12", "HEAD")
        return named + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _processor() -> str:
    """The processor's name, as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
