"""Become one program of the stack: `python -m config.stack.launch NAME SIGNAL -- COMMAND ...`.

Invariant: when the program starts, nothing of its earlier life is left (a worker process whose master was killed
would keep its port and go on serving), and it ends when its supervisor does.
"""

import os
import signal
import sys
from pathlib import Path

from config.embedded import processes


def main() -> None:
    name, signal_name, _, *command = sys.argv[1:]
    var_dir = Path(os.environ[processes.STACK_MARK])
    signal_number = signal.Signals[signal_name]
    os.environ[processes.PROGRAM_MARK] = name
    processes.claim(var_dir=var_dir, program=name, politely=signal_number)
    processes.die_with_parent(signal_number)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
