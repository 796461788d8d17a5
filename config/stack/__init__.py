"""The whole stack on one machine: what runs, in which order, and how it is started, watched and stopped.

Invariant: one VAR_DIR has at most one stack, and when it is down none of its processes is left.
"""

from config.stack.lifecycle import StackAlreadyRunning, StackFailed, StackInfo, running, start, stop

__all__ = ["StackAlreadyRunning", "StackFailed", "StackInfo", "running", "start", "stop"]
