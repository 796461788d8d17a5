"""A copy of both databases on another host that follows them: a base backup, and every byte of the log since."""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from tools.cluster.network import Host
from tools.embedded import postgres

SLOT, PASSWORD = "archive", "laboratory"  # of every account
STOPS_WITHIN_SECONDS = 10.0


class Archive:
    """On `host`, of the servers on `hosts`, by PostgreSQL's own tools; deploy/systemd/ has the same as a service."""

    def __init__(self, host: Host, hosts: Sequence[Host], folder: Path) -> None:
        self._host = host
        self._folder = folder
        at = ",".join(each.address for each in hosts)
        self._url = f"postgresql://replicator:{PASSWORD}@{at}:5432/?target_session_attrs=primary"
        self._receiving: subprocess.Popen | None = None
        self._log = folder / "archive.log"
        self._wal, self._base = folder / "wal", folder / "base"

    def begin(self, patroni_url: str) -> None:
        """Take the log from now on, and then a base backup; Patroni keeps the log until it is taken.

        Raises: CalledProcessError, requests.RequestException.
        """
        self._wal.mkdir(mode=0o700, parents=True)
        kept = {"slots": {SLOT: {"type": "physical"}}}
        requests.patch(f"{patroni_url}/config", json=kept, timeout=10).raise_for_status()
        of_slot = [f"--dbname={self._url}", f"--slot={SLOT}"]
        self._run("pg_receivewal", *of_slot, "--create-slot", "--if-not-exists")
        command = self._command("pg_receivewal", *of_slot, f"--directory={self._wal}", "--synchronous")
        with self._log.open("a") as log:
            self._receiving = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._run(
            "pg_basebackup",
            *(f"--dbname={self._url}", f"--pgdata={self._base}", "--checkpoint=fast", "--wal-method=stream"),
        )
        self._run("pg_verifybackup", str(self._base))

    def end(self) -> None:
        """Stop taking the log; what was taken stays."""
        if self._receiving is not None:
            self._receiving.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._receiving.wait(STOPS_WITHIN_SECONDS)

    def bootstrap(self, moment: datetime, *, into: Path) -> dict[str, Any]:
        """What Patroni is told, to make its first server of this archive as it was at `moment`."""
        last = f"{self._wal}/%f"
        return {
            "method": "archive",
            "archive": {
                "command": f"cp -R {self._base} {into}",
                "no_params": True,
                "recovery_conf": {
                    "restore_command": f"cp {last} %p || cp {last}.partial %p",
                    "recovery_target_time": moment.isoformat(sep=" "),
                    "recovery_target_action": "promote",
                },
            },
        }

    def _run(self, program: str, *arguments: str) -> None:
        with self._log.open("a") as log:
            subprocess.run(self._command(program, *arguments), check=True, stdout=log, stderr=log)

    def _command(self, program: str, *arguments: str) -> list[str]:
        return self._host.inside([str(postgres.installed() / "bin" / program), *arguments])
