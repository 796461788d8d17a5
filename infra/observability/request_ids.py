"""The id that a request has in its answer and in each line that is logged for it, on the loop and on threads.

A caller may bring it, so that a line of ours is found by what the caller has written down.
"""

import os
import re
from contextvars import ContextVar
from typing import Any

# What `redaction` takes for a token (40 digits) or an amount (a point) is neither; a UUID has 36.
WELL_FORMED = re.compile(rb"[A-Za-z0-9_:-]{1,36}")

# Made many at once: to ask for random bytes lets go of the interpreter's lock, for which others wait.
MADE_AT_ONCE = 256
_BYTES = 8
_ready: list[bytes] = []
os.register_at_fork(after_in_child=_ready.clear)

_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def begin(given: bytes | None) -> bytes:
    """Have what runs from here on in this context known by the id that was given, if it is well-formed, or a new one.

    It is told to callers, so it cannot be foreseen: a number would say how many have asked.
    """
    kept = given if given is not None and WELL_FORMED.fullmatch(given) else _new()
    _current.set(kept.decode())
    return kept


def _new() -> bytes:
    try:
        return _ready.pop()
    except IndexError:
        digits = os.urandom(_BYTES * MADE_AT_ONCE).hex().encode()
        _ready.extend(digits[at : at + 2 * _BYTES] for at in range(0, len(digits), 2 * _BYTES))
        return _ready.pop()


def current() -> str | None:
    """The id of the request that runs here, if one does."""
    return _current.get()


def add_request_id(_: Any, __: str, line: Any) -> Any:
    """Processor of structlog: the id in each line of a request."""
    request_id = _current.get()
    if request_id is not None:
        line.setdefault("request_id", request_id)
    return line
