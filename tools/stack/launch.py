"""Become one program of the stack: `python -m tools.stack.launch NAME SIGNAL [NICE] -- COMMAND ...`.

Invariant: when the program starts, nothing of its earlier life is left (a worker process whose master was killed
would keep its port and go on serving), and it ends when its supervisor does.
"""

import os
import signal
import sys
from pathlib import Path

from infra.observability.program import PROGRAM_MARK
from tools.embedded import processes


def main() -> None:
    asked = sys.argv[1:]
    dashes = asked.index("--")
    name, signal_name, *nice = asked[:dashes]
    command = asked[dashes + 1 :]
    var_dir = Path(os.environ[processes.STACK_MARK])
    signal_number = signal.Signals[signal_name]
    os.environ[PROGRAM_MARK] = name
    processes.claim(var_dir=var_dir, program=name, politely=signal_number)
    processes.die_with_parent(signal_number)
    if nice:
        os.nice(int(nice[0]))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
