"""How many processes serve and settle on this machine: as many as it has cores, unless the environment says otherwise.

Without Django: the master of the web program forks what serves, and must not have loaded what is replaced.
"""

import os
import sys

# One serves while the other is replaced, or has died.
FEWEST_WEB_PROCESSES = 2
WEB_PROCESSES = "WEB_PROCESSES"


def cores() -> int:
    """Cores that this process may use: fewer than the machine has, under `taskset` or in a container's set of them."""
    return len(os.sched_getaffinity(0))


def usual_web_processes() -> int:
    """Of the web program, when nothing is said."""
    return max(cores(), FEWEST_WEB_PROCESSES)


def web_processes() -> int:
    """Of the web program, as the environment has it. Ends the program with one line for what is no number from 1."""
    given = os.environ.get(WEB_PROCESSES) or str(usual_web_processes())
    if not given.isdecimal() or not int(given):
        sys.exit(f"not started: {WEB_PROCESSES} is {given!r}, and has to be a whole number from 1")
    return int(given)
