"""Management commands of a stack, all in one process: each alone would take two seconds to load Django."""

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from threading import Timer

ROOT = Path(__file__).resolve().parents[2]
DONE_WITHIN_SECONDS = 120.0


class Management:
    """The process that runs the commands, in the environment of the stack."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.management"],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        """What a command prints. Raises: AssertionError with what it says if it fails."""
        assert self._process.stdin
        assert self._process.stdout
        killer = Timer(DONE_WITHIN_SECONDS, self._process.kill)
        killer.start()
        self._process.stdin.write(f"{json.dumps(arguments)}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        killer.cancel()
        assert line, f"{arguments}: the process ended"
        done = json.loads(line)
        assert done["error"] is None, (arguments, done)
        return done["printed"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(DONE_WITHIN_SECONDS)
        self._process.stdout.close()


def serve() -> None:
    """Run the commands that standard input names, a JSON list a line, until it ends."""
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    settings.PASSWORD_HASHERS = ["tests.support.hashing.Quick"]  # as in the tests' own processes
    answers = sys.stdout
    for line in sys.stdin:
        printed, error = io.StringIO(), None
        with redirect_stdout(printed):
            try:
                call_command(*json.loads(line))
            except (Exception, SystemExit) as raised:  # noqa: BLE001 - the caller tells it
                error = repr(raised)
        connections.close_all()
        print(json.dumps({"printed": printed.getvalue(), "error": error}), file=answers, flush=True)


if __name__ == "__main__":
    serve()
