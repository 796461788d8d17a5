"""The programs that customers speak to as the stack starts them, on the test databases."""

import os
import signal
import subprocess

import requests
from django.conf import settings

from config.embedded import processes, valkey
from config.stack.programs import plan
from config.stack.supervision import wait_until
from tests.support.databases import conninfo

SOON = 20.0


class Web:
    """The running web program; `log` is what it has written."""

    name = "web"

    def __init__(self, var_dir, **environment):
        given = {
            "DATABASE_URL": conninfo("default"),
            "DESK_DATABASE_URL": conninfo("desk"),
            "BROKER_URL": settings.BROKER_URL,
            "API_KEYS_SECRET": settings.API_KEYS_SECRET,
            "VENUE_URL": "http://127.0.0.1:9",
            "PORT": str(valkey.free_port()),
        } | environment
        planned = plan(var_dir=var_dir, given=given)
        [program] = [program for program in planned.programs if program.name == self.name]
        self.port = planned.ports[self.name]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log_file = var_dir / f"{self.name}.log"
        with self._log_file.open("w") as log:
            self.process = subprocess.Popen(
                program.command,
                cwd=settings.BASE_DIR,
                env={
                    **os.environ,
                    **environment,
                    **planned.environment,
                    "STREAM_URL": environment.get("STREAM_URL", ""),  # nobody streams beside it
                    **processes.mark(var_dir=var_dir, program=self.name),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        assert wait_until(self.answers, within_seconds=60), self.log

    @property
    def log(self):
        return self._log_file.read_text()

    def answers(self):
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=SOON)


class Stream(Web):
    """The running stream program."""

    name = "stream"
