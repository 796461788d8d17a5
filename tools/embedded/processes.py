"""Marks, finds and ends the processes of one stack.

Invariant: nothing is signalled unless it proves to be ours, by the mark in its environment or by the data folder
it works in; a bare process number, which may have been given to another process since, is never enough.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from infra.observability.program import PROGRAM_MARK
from tools.embedded.places import private_folder, socket_folder, write_private

STACK_MARK = "CROSSBOOK_STACK"
# The supervisor's process id, as it tells the programs that it starts: one whose supervisor ends while it is still
# loading would otherwise take the process that adopts it for its parent, and live on.
SUPERVISOR = "CROSSBOOK_SUPERVISOR"
PR_SET_PDEATHSIG = 1
END_WITHIN_SECONDS = 10.0


class AlreadyServing(Exception):
    """The program runs for this VAR_DIR under another parent that is alive."""


def mark(*, var_dir: Path, program: str) -> dict[str, str]:
    """Environment entries by which a process and its children are known to belong to a stack."""
    return {STACK_MARK: str(var_dir), PROGRAM_MARK: program}


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send us `signal_number` when the thread that started us ends (prctl(2), Linux only).

    Survives exec, not a change of user: call it after that.
    """
    if sys.platform != "linux":
        return
    parent = int(os.environ.get(SUPERVISOR) or os.getppid())
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended just before
        os.kill(os.getpid(), signal_number)


def marked(*, var_dir: Path, program: str | None = None) -> list[psutil.Process]:
    """Every other process that carries the mark of this stack, or of one program of it."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if process.pid == os.getpid() or environment.get(STACK_MARK) != str(var_dir):
            continue
        if program in (None, environment.get(PROGRAM_MARK)):
            found.append(process)
    return found


def working_in(folder: Path, *, name: str) -> list[psutil.Process]:
    """Processes called `name` whose working folder is `folder`: a data folder belongs to one server."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == name and process.cwd() == os.path.realpath(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end(
    processes: Iterable[psutil.Process],
    *,
    politely: int = signal.SIGTERM,
    within_seconds: float = END_WITHIN_SECONDS,
) -> None:
    """Ask the processes to end, kill what does not within the time, and return when all are gone."""
    alive = list(processes)
    for signal_number, seconds in ((politely, within_seconds), (signal.SIGKILL, END_WITHIN_SECONDS)):
        for process in alive:
            try:
                process.send_signal(
                    signal_number
                )  # psutil refuses a number that was given to another process
            except psutil.Error:
                continue
        _, alive = psutil.wait_procs(alive, timeout=seconds)
        if not alive:
            return


def claim(*, var_dir: Path, program: str, politely: int, data: Path | None = None) -> None:
    """Make this process the only `program` of the stack: end what an earlier parent left behind.

    `data` is a server's data folder, by which its processes are known as well.

    Raises: AlreadyServing when the program runs under another parent that is alive.
    """
    if os.environ.get(SUPERVISOR, str(os.getppid())) != str(os.getppid()):
        raise SystemExit(f"{program}: its supervisor has ended")
    note = private_folder(socket_folder(var_dir)) / f"{program}.parent"
    parent = psutil.Process(os.getppid())
    left = marked(var_dir=var_dir, program=program)
    if data is not None:
        left += [process for process in working_in(data, name=program) if process not in left]
    if left and (owner := _noted_parent(note)) not in (None, parent):
        raise AlreadyServing(f"{program} already runs for {var_dir} under process {owner.pid}")
    end(left, politely=politely)
    write_private(note, json.dumps({"pid": parent.pid, "created": parent.create_time()}))


def _noted_parent(note: Path) -> psutil.Process | None:
    try:
        noted = json.loads(note.read_text())
        process = psutil.Process(noted["pid"])
    except (FileNotFoundError, psutil.Error):
        return None
    return process if process.create_time() == noted["created"] else None
