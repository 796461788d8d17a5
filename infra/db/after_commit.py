"""What is done once a transaction is committed, and can undo nothing of it."""

from collections.abc import Callable

from django.db import transaction


def after_commit(do: Callable[[], object], *, using: str) -> None:
    """Do it once the caller's transaction in this database is committed; what it raises is logged.

    Django names what has failed by its `__qualname__`, which a partial does not have: a committed transaction would
    look like one that failed.
    """

    def done() -> None:
        do()

    done.__qualname__ = getattr(do, "__qualname__", repr(do))
    transaction.on_commit(done, using=using, robust=True)
