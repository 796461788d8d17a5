"""What `python -m tools.stack` shows a person: steps, addresses, the process table and prefixed logs."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from rich.console import Console
from rich.text import Text

from tools.embedded import keys, places
from tools.stack.lifecycle import StackInfo
from tools.stack.logs import Followed, compact
from tools.stack.supervision import ProcessInfo

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
    if any(process.name == "flower" for process in info.processes):
        tell(f"flower   {info.flower_url}  (user crossbook, FLOWER_PASSWORD of {keys.file(info.var_dir)})")
    tell(f"venue    {info.environment['VENUE_URL']}")
    tell(f"logs     {places.log_file(info.var_dir, '*')}")


def show_processes(found: list[ProcessInfo]) -> None:
    """One line for each process: name, state, pid, uptime."""
    tell(f"{'NAME':<15} {'STATE':<10} {'PID':>8} {'UPTIME':>10}")
    for process in found:
        pid = str(process.pid) if process.pid else "-"
        tell(f"{process.name:<15} {process.state:<10} {pid:>8} {_clock(process.uptime_seconds):>10}")


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


def follow(info: StackInfo, *, still_running: Callable[[], object], stopping: Stopping) -> None:
    """Print each program's new log lines behind its name, until told to stop or the stack has gone."""
    names = [process.name for process in info.processes]
    logs = {name: Followed(places.log_file(info.var_dir, name)) for name in names}
    colours = dict(zip(names, COLOURS, strict=False))
    try:
        while not stopping and still_running():
            for name, log in logs.items():
                for line in log.lines():
                    prefix = Text(f"{name:<14} | ", style=colours.get(name, "white"))
                    console.print(prefix + Text(compact(line)))
            time.sleep(POLL_EVERY_SECONDS)
    finally:
        for log in logs.values():
            log.close()
