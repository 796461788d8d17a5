"""A server process tells the master that has forked it once it serves.

Only a master expects to be told; in a process that nobody has forked for that, telling does nothing.
"""

import multiprocessing
from multiprocessing.synchronize import Event

_told: Event | None = None


def expect() -> Event:
    """Of a master, before it forks: what is set once that process serves."""
    global _told  # the fork inherits it
    _told = multiprocessing.get_context("fork").Event()
    return _told


def tell() -> None:
    """Of a process: it answers from now on."""
    if _told is not None:
        _told.set()
