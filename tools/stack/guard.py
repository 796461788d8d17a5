"""Starts the supervisor again when it ends unasked: `python -m tools.stack.guard VAR_DIR -- COMMAND ...`.

Invariant: it shares nothing with what it watches. It writes no file and needs no server, so neither a full disk nor
what ended the supervisor ends it too; told to end, it ends with the supervisor.
"""

import http.client
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.parsers import expat

from tools.stack.programs import APPS
from tools.stack.supervision import Supervisor

LOOK_EVERY_SECONDS = 0.2
AGAIN_AFTER_SECONDS = 2.0


class Guard:
    """One supervisor, kept alive until this process is told to end."""

    def __init__(self, *, var_dir: Path, command: list[str]) -> None:
        self._var_dir = var_dir
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = self._has_answered = False

    def run(self) -> int:
        """The exit code of a supervisor that ended before it ever answered, or that ended as it was told."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while True:
            code = self._run_once()
            if self._stopping or not self._has_answered:
                return code
            self._say(f"the supervisor ended with {code}, it is started again\n")
            if not self._pause():
                return code

    def _run_once(self) -> int:
        try:
            self._child = subprocess.Popen(self._command)
        except OSError as error:  # no memory or no process to be had at the moment
            if not self._has_answered:
                raise
            self._say(f"{error}\n")
            return os.EX_OSERR
        if self._stopping:  # told so before there was anyone to pass it on to
            self._child.terminate()
        return self._watch(self._child)

    def _pause(self) -> bool:
        """Wait before another start; False when there shall be none."""
        ends_at = time.monotonic() + AGAIN_AFTER_SECONDS
        while not self._stopping and time.monotonic() < ends_at:
            time.sleep(LOOK_EVERY_SECONDS)
        return not self._stopping

    def _watch(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for its end; once it answers after a new start, have it start the programs that follow its servers."""
        supervisor, is_new = Supervisor(self._var_dir), True
        # `wait` with a bound would look fifty times a second, for as long as the stack runs.
        while (code := child.poll()) is None:
            time.sleep(LOOK_EVERY_SECONDS)
            # What half an answer raises: it is asked again.
            with suppress(OSError, xmlrpc.client.Error, http.client.HTTPException, expat.ExpatError):
                if is_new and supervisor.answers():
                    # The first time, the starter of the stack migrates the databases in between.
                    if self._has_answered:
                        supervisor.start_group(APPS)
                    self._has_answered, is_new = True, False
        return code

    def _stop(self, number: int, _: Any) -> None:
        self._stopping = True
        if self._child is not None:
            self._child.send_signal(number)

    @staticmethod
    def _say(line: str) -> None:
        with suppress(OSError):
            os.write(2, line.encode())


def main() -> None:
    """Guard the supervisor of VAR_DIR."""
    var_dir, _, *command = sys.argv[1:]
    sys.exit(Guard(var_dir=Path(var_dir), command=command).run())


if __name__ == "__main__":
    main()
