"""supervisord, which a full disk does not end: a line of a log that cannot be written is lost, and nothing else.

The package's own writes the error that it meets in its log to stderr, which is the same full disk, and ends by that.
"""

import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from supervisor import loggers, supervisord

from tools.embedded import processes


class Lossy:
    """A stream that drops what its device does not take."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As many characters as were given, sent or not."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class LossyFileHandler(loggers.RotatingFileHandler):
    """A log whose file may come to its disk's end, also between its closing and its opening anew."""

    def emit(self, record: Any) -> None:
        """Write a line if it can be written."""
        with suppress(OSError):
            if self.closed or self.stream.closed:
                self.reopen()
            super().emit(record)

    def handleError(self) -> None:
        """Nothing: there is no better place to tell."""


def main() -> None:
    """Run supervisord with the arguments of the command line."""
    os.environ[processes.SUPERVISOR] = str(os.getpid())
    sys.stdout, sys.stderr = Lossy(sys.stdout), Lossy(sys.stderr)
    loggers.RotatingFileHandler = LossyFileHandler
    supervisord.main()


if __name__ == "__main__":
    main()
