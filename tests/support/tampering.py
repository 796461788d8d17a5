"""Hands that change the books behind everybody's back, for tests of those who should notice; undone afterwards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction


def execute(alias: str, sql: str, parameters: Sequence[Any] = ()) -> int:
    """Change a database directly; how many rows."""
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, list(parameters))
        return cursor.rowcount


@contextmanager
def tampered(
    alias: str,
    table: str,
    change: str,
    parameters: Sequence[Any] = (),
    *,
    without: str = "",
    constraint: str = "",
) -> Iterator[None]:
    """`change` holds for the block, append-only triggers notwithstanding; then the table is what it was.

    `without` names a constraint that is in the way, `constraint` is its definition.
    """
    untouched = f"untouched_{table}"
    execute(alias, f"CREATE TEMP TABLE {untouched} AS TABLE {table}")
    execute(alias, f"ALTER TABLE {table} DISABLE TRIGGER USER")
    if without:
        execute(alias, f"ALTER TABLE {table} DROP CONSTRAINT {without}")
    try:
        assert execute(alias, change, parameters), "nothing was changed"
        yield
    finally:
        with transaction.atomic(using=alias):
            execute(alias, f"DELETE FROM {table}")
            execute(alias, f"INSERT INTO {table} SELECT * FROM {untouched}")
        if without:
            execute(alias, f"ALTER TABLE {table} ADD CONSTRAINT {without} {constraint}")
        execute(alias, f"ALTER TABLE {table} ENABLE TRIGGER USER")
        execute(alias, f"DROP TABLE {untouched}")


def broken(report: Any) -> dict[int, set[tuple[str, str]]]:
    """(what, where) of all that an audit lists as broken, by invariant."""
    return {
        result.number: {(finding.what, finding.where) for finding in result.broken.listed}
        for result in report.results
        if result.broken.total
    }
