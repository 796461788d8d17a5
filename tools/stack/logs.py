"""Log files of the programs, followed and shortened for a person's eyes; the files keep every word."""

import json
import os
from pathlib import Path
from typing import TextIO

VALUE_MAX_CHARS = 160
SAID_ELSEWHERE = {"event", "level", "logger", "timestamp", "exception"}


def compact(line: str) -> str:
    """A structured log line as `time level event name=value ...`; any other line as it is."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "event" not in entry:
        return line
    moment = str(entry.get("timestamp", ""))[11:19]
    level = str(entry.get("level", "info"))
    said = [moment, "" if level == "info" else level.upper(), str(entry["event"])]
    said += [f"{name}={value}" for name, value in entry.items() if name not in SAID_ELSEWHERE]
    said += str(entry.get("exception", "")).splitlines()[-1:]
    return " ".join(_cut(part) for part in said if part)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= VALUE_MAX_CHARS else f"{text[:VALUE_MAX_CHARS]}..."


class Followed:
    """A log file read from its present end on, across rotation."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._stream: TextIO | None = None
        self._open(at_end=True)

    def _open(self, *, at_end: bool) -> None:
        try:
            self._stream = self.file.open(errors="replace")
        except FileNotFoundError:
            return
        if at_end:
            self._stream.seek(0, os.SEEK_END)

    def lines(self) -> list[str]:
        if self._stream is None:
            self._open(at_end=False)
        if self._stream is None:
            return []
        found = self._stream.read().splitlines()
        try:
            rotated = self.file.stat().st_ino != os.fstat(self._stream.fileno()).st_ino
        except FileNotFoundError:
            rotated = True
        if rotated:
            self.close()
        return [line for line in found if line.strip()]

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
