"""A commit that is believed only if nothing cut short its wait for a synchronous standby.

PostgreSQL ends a wait that is cancelled, by `statement_timeout` for instance, in success and a warning: the transaction
is visible here then, and lost by a failover. Its outcome is unknown, so here it is an error. Who finds such a row later
must not answer for it either: a transaction that writes or locks a row waits for the standby, one that reads does not.
"""

from functools import partial
from typing import Any

import psycopg
from psycopg.abc import PQGen

from infra.db.engine.silence import WatchedConnection

# The server's function that waits, which it names with each of its warnings, in every language: their SQLSTATE is
# 01000, which a statement's own warnings have too.
WAIT_FOR_STANDBY = "SyncRepWaitForLSN"

# Once a transaction has written to the log, its commit is believed only once the standby has the log up to there.
LOGGED = """
    SELECT pg_logical_emit_message(true, 'answered', '') WHERE current_setting('synchronous_standby_names') <> ''
"""


def answer_for_what_was_read(cursor: Any) -> None:
    """Have the caller's transaction commit only once a synchronous standby has the rows that it has found."""
    cursor.execute(LOGGED)


class ReplicatedConnection(WatchedConnection):
    """A connection that takes no commit for good that a standby may not have: COMMIT, or a statement by itself."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._cut_short: list[str] = []
        # No method of its own: what is forgotten unclosed would not end before the garbage is collected.
        self.add_notice_handler(partial(_hear, self._cut_short))

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """As of any connection.

        Raises: OperationalError when what was waited for has committed, but is not known to be replicated.
        """
        found = super().wait(gen, interval, timeout)
        if self._cut_short:
            self._cut_short.clear()
            raise psycopg.OperationalError("committed, but not known to be replicated")
        return found


def _hear(cut_short: list[str], said: psycopg.errors.Diagnostic) -> None:
    if said.source_function == WAIT_FOR_STANDBY:
        cut_short.append(WAIT_FOR_STANDBY)
