"""Read-only snapshots of databases, each consistent in itself.

Invariant: within one snapshot a transaction is seen whole or not at all. Two are not taken in one moment, so
comparing them relies on the order: what the first has learned from the second was there before, hence is in the
second's later snapshot; what the second has learned from the first may be too young for the first snapshot, and is
held against `Snapshot.at` before it is called missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections, transaction

from infra.db.rows import Parameters, rows_of

# A report's sorts and hashes stay in memory up to this for each node of a plan; compiling them never pays, and a plan
# for any parameters does not know how much they select.
BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL jit = off",
    "SET LOCAL plan_cache_mode = force_custom_plan",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One database as it was `at` a moment (its server's clock)."""

    alias: str
    at: datetime

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return rows_of(self.alias, sql, parameters)

    def rows_of_whole_tables(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """All rows of a query that joins whole tables with each other.

        Where tables have just grown nobody has counted them, and the planner would join them row by row, for minutes.
        """
        self.rows("SELECT set_config('enable_nestloop', 'off', true)")
        found = self.rows(sql, parameters)
        self.rows("SELECT set_config('enable_nestloop', 'on', true)")
        return found

    def row(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...]:
        """The one row of a query that always has one."""
        return self.rows(sql, parameters)[0]


@contextmanager
def snapshot(alias: str) -> Iterator[Snapshot]:
    """Open a snapshot; models and raw SQL on this alias read from it until the block ends.

    Raises: RuntimeError inside a transaction, whose isolation could no longer be chosen.
    """
    with transaction.atomic(using=alias, durable=True):
        with connections[alias].cursor() as cursor:
            for statement in BEGIN:
                cursor.execute(statement)
            cursor.execute("SELECT clock_timestamp()")  # the first query fixes what is seen
            (at,) = cursor.fetchone()
        yield Snapshot(alias, at)
