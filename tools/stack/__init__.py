"""The whole stack on one machine: what runs, in which order, and how it is started, watched and stopped.

Invariant: one VAR_DIR has at most one stack, and when it is down none of its processes is left.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.stack.lifecycle import StackAlreadyRunning, StackFailed, StackInfo, running, start, stop

__all__ = ["StackAlreadyRunning", "StackFailed", "StackInfo", "running", "start", "stop"]


def __getattr__(name: str) -> Any:
    """Loaded when it is asked for: each program of a stack starts by `tools.stack.launch`, which wants none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("tools.stack.lifecycle"), name)
