"""The programs that customers speak to as the stack starts them, on the test databases."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import requests
from django.conf import settings

from tests.support import ending
from tests.support.databases import conninfo
from tools.embedded import processes, valkey
from tools.stack.programs import plan
from tools.stack.supervision import wait_until

SOON = 60.0
STARTS_WITHIN_SECONDS = 180.0  # beside two other workers on a slow machine
PROMISED_SECONDS = 2.0  # for an order; other tests have longer, on a machine that does other things
PROCESSES = {"WEB_PROCESSES": "2"}  # on any machine
# No feed runs beside them.
QUOTES_STAY_FRESH = {"QUOTE_STALE_AFTER_SECONDS": "86400"}

# A process that is replaced retires so soon that what connects meanwhile waits in the socket.
REPLACED_SOON = ("--replace-after", "2")


class Web:
    """The running web program; `log` is what it has written since its test began."""

    name = "web"

    def __init__(self, var_dir: Path, **environment: str) -> None:
        given = {
            "DATABASE_URL": conninfo("default"),
            "DESK_DATABASE_URL": conninfo("desk"),
            "BROKER_URL": settings.BROKER_URL,
            "API_KEYS_SECRET": settings.API_KEYS_SECRET,
            "PUBLIC_IDS_KEY": settings.PUBLIC_IDS_KEY,
            "VENUE_URL": "http://127.0.0.1:9",
            "PORT": str(valkey.free_port()),
        } | environment
        planned = plan(var_dir=var_dir, given=given)
        [program] = [program for program in planned.programs if program.name == self.name]
        self.port = planned.ports[self.name]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log_file = var_dir / f"{self.name}.log"
        self._log_begins = 0
        with self._log_file.open("w") as log:
            self.process = subprocess.Popen(
                [*program.command, *REPLACED_SOON],
                cwd=settings.BASE_DIR,
                env={
                    **os.environ,
                    **PROCESSES,
                    **environment,
                    **planned.environment,
                    "STREAM_URL": environment.get("STREAM_URL", ""),  # nobody streams beside it
                    **processes.mark(var_dir=var_dir, program=self.name),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if not wait_until(
            lambda: self.answers() or self.process.poll() is not None, within_seconds=STARTS_WITHIN_SECONDS
        ):
            ending.kill(self.process)
        assert self.process.poll() is None, self.log

    @property
    def log(self) -> str:
        with self._log_file.open() as file:
            file.seek(self._log_begins)
            return file.read()

    @property
    def serving(self) -> list[psutil.Process]:
        """Its processes that answer."""
        return psutil.Process(self.process.pid).children()

    def begin_log(self) -> None:
        """Forget what it has written."""
        self._log_begins = self._log_file.stat().st_size

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        """Ask it to end, unless it has; the test fails if it does not, or not well."""
        self.process.send_signal(signal.SIGTERM)
        self.has_stopped()

    def has_stopped(self) -> None:
        """It has been asked to end; the test fails if it does not, or not well."""
        assert (code := ending.ended(self.process, log=lambda: self.log)) == 0, f"{code}: {self.log}"


class Stream(Web):
    """The running stream program."""

    name = "stream"


class Programs:
    """The programs that tests share: one for each environment, started by the first test that wants it.

    What has ended by then is started anew, so a test may end or kill what it was given.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[tuple[type[Web], tuple[tuple[str, str], ...]], Web] = {}
        self._started = 0

    def web(self, **environment: str) -> Web:
        return self._of(Web, environment)

    def stream(self, **environment: str) -> Web:
        return self._of(Stream, environment)

    def stop(self) -> None:
        """End all of them, at once."""
        running = [program for program in self._running.values() if program.process.poll() is None]
        for program in running:
            program.process.send_signal(signal.SIGTERM)
        for program in running:
            program.has_stopped()

    def _of(self, kind: type[Web], environment: dict[str, str]) -> Web:
        key = (kind, tuple(sorted(environment.items())))
        program = self._running.get(key)
        if program is None or program.process.poll() is not None:
            self._started += 1
            var_dir = self._folder / f"{kind.name}-{self._started}"
            var_dir.mkdir()
            program = self._running[key] = kind(var_dir, **QUOTES_STAY_FRESH | environment)
        program.begin_log()
        return program
