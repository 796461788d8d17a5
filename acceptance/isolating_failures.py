"""Doing something with many things together although one may be spoiled: it stops none of the others.

For what comes in (messages, orders that were pulled) and for what goes out (acknowledgements, settlement reports).
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from infra.coordination.leadership import LeadershipLost
from infra.db.transient_errors import is_transient

T = TypeVar("T")


def may_be_of_one(error: Exception) -> bool:
    """Whether one of the things may be to blame: neither a term that is over nor a database that is away is."""
    return not isinstance(error, LeadershipLost) and not is_transient(error)


def store_apart(
    things: Sequence[T],
    *,
    store: Callable[[Sequence[T]], object],
    spoiled: Callable[[T, Exception], object],
    divides: Callable[[Exception], bool] = may_be_of_one,
) -> None:
    """`store` them together; when that fails they are halved until what cannot be stored stands alone, for `spoiled`.

    Raises: what does not divide them, and what `spoiled` raises; some may be stored then.
    """
    try:
        store(things)
    except Exception as error:
        if not divides(error):
            raise
        if len(things) == 1:
            spoiled(things[0], error)
            return
        half = len(things) // 2
        for some in (things[:half], things[half:]):
            store_apart(some, store=store, spoiled=spoiled, divides=divides)
