"""The machine that the figures belong to."""

import os
import platform
from typing import Any

import psutil

from bench.servers import Servers


def described(servers: Servers) -> dict[str, Any]:
    """Cores, memory, Python, and what the server says of itself."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "postgresql": servers.postgres_setting("server_version"),
        "fsync": servers.postgres_setting("fsync"),
        "synchronous_commit": servers.postgres_setting("synchronous_commit"),
    }
