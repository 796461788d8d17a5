"""The programs of a host: a stack with neither servers nor standbys of its own, started as a service manager would."""

import sys
import xmlrpc.client
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests

from tools.cluster.network import Host
from tools.cluster.services import Services
from tools.embedded import processes
from tools.stack import lifecycle
from tools.stack.programs import APPS
from tools.stack.supervision import Supervisor

WEB_PORT, STREAM_PORT = 8000, 8001
WITHOUT = "standbys flower"
PROCESSES = {"WEB_PROCESSES": "1", "WORKER_PROCESSES": "2"}  # all hosts have the cores of one machine
# As Restart=on-failure does: a start that finds no database in its time ends.
UNTIL_UP = 'until "$@"; do sleep 2; done'
LEADERS = "SELECT name, holder FROM config_lease WHERE renewed_at > clock_timestamp() - interval '3 seconds'"
LED = {"beat", "feed", "intake"}
WELL = ("broker", "quotes", "workers")  # of the checks of web


class Programs:
    """Of one host, in a folder of its own; `told` is what the programs of all hosts have in common."""

    def __init__(self, host: Host, folder: Path, told: Mapping[str, str]) -> None:
        self._host = host
        self._told = told
        self.var_dir = folder / host.name / "stack"
        self._services = Services(host, folder / host.name)

    @property
    def environment(self) -> dict[str, str]:
        """What their stack is told."""
        return {
            **self._told,
            "VAR_DIR": str(self.var_dir),
            "BIND_ADDRESS": self._host.address,
            "PORT": str(WEB_PORT),
            "STREAM_PORT": str(STREAM_PORT),
            "STACK_WITHOUT": WITHOUT,
        }

    def start(self) -> None:
        """Begin to start them; on a host that was killed they find what they had."""
        up = [sys.executable, "-m", "tools.stack", "up", "--detach"]
        self._services.start("up", ["sh", "-c", UNTIL_UP, "up", *up], environment=self.environment)

    def checks(self) -> dict[str, Any]:
        """What web says when it is asked whether it is ready; nothing when it is not."""
        with suppress(requests.RequestException):
            answer = requests.get(f"http://{self._host.address}:{WEB_PORT}/readyz", timeout=2)
            found: dict[str, Any] = answer.json()["checks"] if answer.ok else {}
            return found
        return {}

    def lacking(self) -> list[str]:
        """Which of them do not run, and of broker, feed and workers which are not well, as seen from here."""
        told = self.checks()
        lacking = [f"{name} that is well" for name in WELL if not told.get(name, {}).get("ok")]
        try:
            apps = [each for each in Supervisor(self.var_dir).processes() if each.group == APPS]
        except (OSError, xmlrpc.client.Fault) as error:  # it does not run, or is stopping
            return [*lacking, f"supervisor: {error}"]
        stopped = [f"{each.name} that runs ({each.state})" for each in apps if each.state != "RUNNING"]
        return lacking + (stopped if apps else ["program"])

    def kill(self) -> None:
        """End every program at once, but not who starts them again."""
        for process in processes.marked(var_dir=self.var_dir):
            with suppress(psutil.Error):
                if process.environ().get(processes.PROGRAM_MARK) not in ("guard", "supervisord"):
                    process.kill()

    def forget(self) -> None:
        """Nothing of them is left but their data; their host is gone."""
        lifecycle.stop(var_dir=self.var_dir)


def leaders(urls: Sequence[str]) -> dict[str, str]:
    """Names of the programs that lead, and the host on which they do; without those whose lease has run out.

    Raises: psycopg.OperationalError.
    """
    found: dict[str, str] = {}
    for url in urls:
        with psycopg.connect(url, connect_timeout=2) as session:
            rows: list[tuple[Any, ...]] = session.execute(LEADERS).fetchall()
            found |= {name: holder.split()[1] for name, holder in rows}
    return found
