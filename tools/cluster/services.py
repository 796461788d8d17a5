"""What runs on a host: started in its namespace, each with a log of its own."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.cluster.network import Host

ROOT = Path(__file__).resolve().parents[2]
ENDS_WITHIN_SECONDS = 10.0


class Services:
    """Of one host; `folder` has their logs."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self._started: dict[str, subprocess.Popen] = {}

    def start(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start one on the host, beside the project, in our environment and what is given besides.

        Raises: TimeoutExpired while the one that was started before under this name runs.
        """
        if name in self._started:
            self._started.pop(name).wait(ENDS_WITHIN_SECONDS)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / f"{name}.log").open("a") as log:
            self._started[name] = subprocess.Popen(
                self._host.inside(command),
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End them at once; what they started themselves goes on."""
        for process in self._started.values():
            process.kill()
