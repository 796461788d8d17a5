"""Storing many things together although one may be spoiled: whichever door they come by, it stops no others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import InterfaceError, OperationalError

from config.leadership import LeadershipLost

T = TypeVar("T")
TOO_LARGE = "54"  # PostgreSQL's class of errors of what exceeds its limits, whenever it comes


def store_apart(
    things: Sequence[T], *, store: Callable[[Sequence[T]], object], spoiled: Callable[[T, Exception], object]
) -> None:
    """`store` them together; when that fails they are halved until what cannot be stored stands alone, for `spoiled`.

    Raises: OperationalError, InterfaceError when the database is away, LeadershipLost when a term is over; some may
    be stored then.
    """
    try:
        store(things)
    except Exception as error:
        if _is_passing(error):
            raise
        if len(things) == 1:
            spoiled(things[0], error)
            return
        half = len(things) // 2
        store_apart(things[:half], store=store, spoiled=spoiled)
        store_apart(things[half:], store=store, spoiled=spoiled)


def _is_passing(error: Exception) -> bool:
    """Whether it is the database's state, or ours, that is to blame, and not what was to be stored."""
    if isinstance(error, LeadershipLost):
        return True
    sqlstate = getattr(error.__cause__, "sqlstate", None) or ""
    return isinstance(error, (OperationalError, InterfaceError)) and not sqlstate.startswith(TOO_LARGE)
