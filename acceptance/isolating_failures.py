"""Processes many items together and isolates those that fail, so that one cannot stop the others.

For incoming items (messages, pulled orders) and outgoing ones (acknowledgements, settlement reports).
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
    on_failure: Callable[[T, Exception], object],
    divides: Callable[[Exception], bool] = may_be_of_one,
) -> None:
    """`store` them together; if that fails halve them until each failing one is alone, and give it to `on_failure`.

    Raises: errors that do not divide them, and those of `on_failure`; some may be stored then.
    """
    try:
        store(things)
    except Exception as error:
        if not divides(error):
            raise
        if len(things) == 1:
            on_failure(things[0], error)
            return
        half = len(things) // 2
        for some in (things[:half], things[half:]):
            store_apart(some, store=store, on_failure=on_failure, divides=divides)
