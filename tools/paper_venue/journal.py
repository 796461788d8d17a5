"""The append-only journal: one event a line, on disk before anyone is told of it.

A line counts once its newline is there. A process killed while writing leaves a torn last line, which was never
acknowledged: opening the journal cuts it off. Anything else that cannot be read is damage and refuses to start.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from tools.paper_venue.records import Event, event_from_json, event_to_json


class JournalError(Exception):
    """The journal cannot be used."""


class JournalDamaged(JournalError):
    """A whole line of the journal is not an event."""


class JournalInUse(JournalError):
    """Another process is writing this journal."""


def read_events(path: Path) -> Iterator[Event]:
    """The events of a journal, oldest first, without a torn last line.

    Raises: JournalDamaged.
    """
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield event_from_json(json.loads(line))
            except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                raise JournalDamaged(f"{path}, line {number}: {error!r}") from error


class Journal:
    """Appends events to a file that this process holds alone.

    Raises: JournalInUse if another process holds it.
    """

    def __init__(self, path: Path, *, with_fsync: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._with_fsync = with_fsync
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _lock(self._fd)
        except OSError as error:
            os.close(self._fd)
            raise JournalInUse(str(path)) from error
        _cut_torn_line(self._fd)

    def append(self, event: Event) -> None:
        """Returns once the operating system (with fsync: the disk) has the event.

        Raises: OSError if it could not be written; what was written of it is cut off again.
        """
        line = json.dumps(event_to_json(event), separators=(",", ":")).encode() + b"\n"
        end = os.lseek(self._fd, 0, os.SEEK_END)
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                raise OSError(f"only {written} of {len(line)} bytes were written")
            if self._with_fsync:
                os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, end)
            raise

    def close(self) -> None:
        os.close(self._fd)


def _lock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _cut_torn_line(fd: int) -> None:
    size = os.lseek(fd, 0, os.SEEK_END)
    end = size
    while end > 0:
        start = max(0, end - 4096)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(fd, end)
