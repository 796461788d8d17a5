"""Killing and pausing the programs of a running stack, by any name.

Invariant: only processes that psutil has identified are signalled, never a bare number, never one that is not there.
"""

import random
from contextlib import suppress
from functools import partial

import psutil

from tools.chaos.injections import Blow, Injection
from tools.stack.lifecycle import StackInfo

# It has its own injections: a paused server would hold the commits of everybody, audit and reports included.
NOT_PAUSED = "postgres"
WITH_CHILDREN = ("web", "stream", "worker")  # masters that have to replace a worker process which dies


class NotRunning(Exception):
    """The program does not run at the moment."""


def program_injections(info: StackInfo) -> list[Injection]:
    """Each program of the stack killed and paused, and a worker process of those that have some."""
    names = [process.name for process in info.processes if process.name != NOT_PAUSED]
    masters = [name for name in names if name.startswith(WITH_CHILDREN)]
    return [
        *(Blow(f"kill:{name}", partial(_kill, info, name)) for name in names),
        *(Blow(f"kill-child:{name}", partial(_kill_child, info, name)) for name in masters),
        *(Pause(info, name) for name in names),
    ]


def main_process(info: StackInfo, name: str) -> psutil.Process:
    """The process that the supervisor started as the program. Raises: NotRunning."""
    pid = next((process.pid for process in info.processes if process.name == name), None)
    if not pid:
        raise NotRunning(name)
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess as error:
        raise NotRunning(name) from error


def _kill(info: StackInfo, name: str, seed: int) -> None:
    main_process(info, name).kill()


def _kill_child(info: StackInfo, name: str, seed: int) -> None:
    children = sorted(main_process(info, name).children(), key=lambda process: process.pid)
    if not children:
        raise NotRunning(f"{name} has no worker process")
    random.Random(seed).choice(children).kill()


class Pause:
    """All processes of a program stopped by SIGSTOP, and gone on with SIGCONT."""

    def __init__(self, info: StackInfo, program: str) -> None:
        self.name = f"pause:{program}"
        self._info = info
        self._program = program
        self._stopped: list[psutil.Process] = []

    def begin(self, seed: int) -> None:
        """Stop the master first, lest it takes its workers for dead. Raises: NotRunning."""
        first = main_process(self._info, self._program)
        for process in (first, *first.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                self._stopped.append(process)

    def end(self) -> None:
        """Let go on what of it still lives."""
        for process in reversed(self._stopped):
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self._stopped.clear()
