"""Running a peer: its own settings, its own database on the shared server, its own database of the broker."""

import json
import os
import subprocess
import sys
from typing import Any

from tools.bench.load.process import ROOT
from tools.bench.peers.database import BROKER_VARIABLE, DATABASE_VARIABLE, WATCHED_VARIABLE
from tools.bench.servers import Servers

BROKER_DATABASE = 9


class PeerFailed(Exception):
    """A peer's program ended with an error; the message is what it wrote."""


class Peer:
    """One peer project, by its name under `tools.bench.peers`; its database has the same name."""

    def __init__(self, name: str, servers: Servers) -> None:
        self._name = name
        self._servers = servers

    def prepare(self) -> None:
        """Make its database anew, with its tables. Raises: PeerFailed."""
        self._servers.new_databases(self._name)
        self._run("django", "migrate", "--run-syncdb", "--verbosity", "0")

    def measure(self, *arguments: str) -> dict[str, Any]:
        """What its `measure` module tells. Raises: PeerFailed."""
        return json.loads(self._run(f"tools.bench.peers.{self._name}.measure", *arguments).splitlines()[-1])

    def _run(self, module: str, *arguments: str) -> str:
        # Celery reads BROKER_URL and its like by itself: nothing of the stack's may reach a peer.
        inherited = {
            name: value for name, value in os.environ.items() if name not in self._servers.environment
        }
        environment = inherited | {
            "DJANGO_SETTINGS_MODULE": f"tools.bench.peers.{self._name}.settings",
            DATABASE_VARIABLE: self._servers.database_url(self._name),
            BROKER_VARIABLE: self._servers.broker_url(BROKER_DATABASE),
            WATCHED_VARIABLE: json.dumps(
                {name: process.pid for name, process in self._servers.processes.items() if name != "venue"}
            ),
        }
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PeerFailed(f"{self._name}: {(done.stdout + done.stderr)[-3000:]}")
        return done.stdout
