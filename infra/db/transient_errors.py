"""Transient errors of the database: they concern the session's present state, not the statement.

One list for the order queue, the API, intake, tasks, leaders and health checks: these errors are answered with 503 and
retried, and never taken for a fault of the order, message or row in hand. Classes and states are those of PostgreSQL's
appendix A; Django's and psycopg's classes do not distinguish them (25006 is an InternalError there).
"""

import psycopg
from django.db import InterfaceError, OperationalError, connections

# Connection exceptions; rolled back (serialization, deadlock); insufficient resources (disk, memory, connections);
# an operator's intervention or a time-out (57014, 57P01 to 57P05); errors outside of PostgreSQL (I/O).
CLASSES = frozenset({"08", "40", "53", "57", "58"})
READ_ONLY = "25006"  # a standby, or a primary that was demoted: the session outlives the failover
LOCK_NOT_AVAILABLE = "55P03"
STATES = frozenset({READ_ONLY, "25P03", "25P04", LOCK_NOT_AVAILABLE, "55006"})
# Of these the session is as good as before: another one would meet the same.
SESSION_IS_WELL = frozenset({LOCK_NOT_AVAILABLE, "55006", "57014"})
ROLLED_BACK = "40"


def sqlstate(error: BaseException) -> str | None:
    """What PostgreSQL calls the error, if it is one of its own."""
    state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
    return state if isinstance(state, str) else None


def is_transient(error: BaseException) -> bool:
    """Whether the same may well succeed later."""
    state = sqlstate(error)
    if state is None:  # no server was reached, or it went away without a word
        return isinstance(
            error, (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
        )
    return state[:2] in CLASSES or state in STATES


def is_session_over(error: BaseException) -> bool:
    """Whether the next use of the session would meet the same, so that it fails for every row, message and order."""
    state = sqlstate(error) or ""
    return is_transient(error) and state not in SESSION_IS_WELL and not state.startswith(ROLLED_BACK)


def leave_session(error: BaseException) -> None:
    """Close this thread's connections after an error that their next use would meet: the next looks for a primary.

    Not within a transaction, whose end decides what becomes of its connection.
    """
    if not is_session_over(error):
        return
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
