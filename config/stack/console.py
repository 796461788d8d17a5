"""What `python -m config.stack` shows a person: steps, addresses, the process table and prefixed logs."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TextIO

from rich.console import Console
from rich.text import Text

from config.embedded import places
from config.stack.lifecycle import StackInfo
from config.stack.supervision import ProcessInfo

COLOURS = (
    "cyan",
    "green",
    "yellow",
    "magenta",
    "blue",
    "bright_cyan",
    "bright_green",
    "bright_yellow",
    "bright_magenta",
)
POLL_EVERY_SECONDS = 0.2

console = Console(highlight=False, soft_wrap=True)


def tell(line: str) -> None:
    console.print(Text(line))


def show_addresses(info: StackInfo) -> None:
    tell(f"serving  {info.web_url}")
    tell(f"flower   {info.flower_url}")
    tell(f"venue    {info.environment['VENUE_URL']}")
    tell(f"logs     {places.log_file(info.var_dir, '*')}")


def show_processes(found: list[ProcessInfo]) -> None:
    """One line for each process: name, state, pid, uptime."""
    tell(f"{'NAME':<10} {'STATE':<10} {'PID':>8} {'UPTIME':>10}")
    for process in found:
        pid = str(process.pid) if process.pid else "-"
        tell(f"{process.name:<10} {process.state:<10} {pid:>8} {_clock(process.uptime_seconds):>10}")


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


class Stopping:
    """Set by Ctrl-C or SIGTERM, so that a loop can end between two steps instead of inside one."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._set)

    def _set(self, number: int, frame: FrameType | None) -> None:
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()


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
            self._stream.close()
            self._stream = None
        return [line for line in found if line.strip()]


def follow(info: StackInfo, *, still_running: Callable[[], object], stopping: Stopping) -> None:
    """Print each program's new log lines behind its name, until told to stop or the stack has gone."""
    names = [process.name for process in info.processes]
    logs = {name: Followed(places.log_file(info.var_dir, name)) for name in names}
    colours = dict(zip(names, COLOURS, strict=False))
    while not stopping and still_running():
        for name, log in logs.items():
            for line in log.lines():
                prefix = Text(f"{name:<8} | ", style=colours.get(name, "white"))
                console.print(prefix + Text(line))
        time.sleep(POLL_EVERY_SECONDS)
