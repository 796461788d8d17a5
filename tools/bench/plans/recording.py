"""Recording what the real code asks the databases, and explaining each statement just before it runs.

So it is explained with its own parameters and in the state that it finds; what explaining it did is rolled back.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from django.db import connections
from django.db.backends.signals import connection_created

EXPLAINED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
# Types as psycopg tells them to the server; what is missing here it leaves to the server as well.
TYPES = {
    int: "bigint",
    Decimal: "numeric",
    datetime: "timestamptz",
    timedelta: "interval",
    bool: "boolean",
    str: "text",  # in arrays; alone it has no type yet
}

Parameters = Sequence[Any] | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Explained:
    """A statement's plan with its real parameters, executed, and the generic one of its prepared statement, if used."""

    operation: str
    sql: str
    custom: dict[str, Any]
    generic: dict[str, Any] | None
    planning_ms: float
    execution_ms: float


class Recorder:
    """An execute wrapper on every connection of this process; `explained` grows while an operation is named."""

    def __init__(self) -> None:
        self.explained: list[Explained] = []
        self._own: dict[
            str, psycopg.Connection[Any]
        ] = {}  # by database; a new one plans its first statements slowly
        self._own_lock = threading.Lock()
        self._operation = ""
        self._seen: set[tuple[str, str]] = set()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Listen on the connections that there are and on those that other threads will open."""
        connection_created.connect(self._install)
        for connection in connections.all():
            self._install(connection=connection)
        try:
            yield
        finally:
            connection_created.disconnect(self._install)
            for connection in connections.all():
                if self in connection.execute_wrappers:
                    connection.execute_wrappers.remove(self)
            with self._own_lock:
                for own in self._own.values():
                    own.close()
                self._own.clear()

    @contextmanager
    def during(self, operation: str) -> Iterator[None]:
        """Explain what is executed in the block, each statement once."""
        self._operation = operation
        try:
            yield
        finally:
            self._operation = ""

    def _install(self, *, connection: Any, **signal: Any) -> None:
        if self not in connection.execute_wrappers:
            connection.execute_wrappers.append(self)

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Parameters, many: bool, context: dict[str, Any]
    ) -> Any:
        key = self._operation, sql
        # Advisory locks outlive a rollback.
        is_asked = sql.lstrip().upper().startswith(EXPLAINED) and "advisory" not in sql
        if self._operation and is_asked and key not in self._seen:
            self._seen.add(key)
            self.explained.append(self._explain(context["connection"], sql, params))
        return execute(sql, params, many, context)

    def _explain(self, asking: Any, sql: str, params: Parameters) -> Explained:
        connection: psycopg.Connection[Any] = asking.connection
        in_transaction = connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        begin, end = (
            ("SAVEPOINT explaining", "ROLLBACK TO SAVEPOINT explaining")
            if in_transaction
            else ("BEGIN", "ROLLBACK")
        )
        with psycopg.Cursor(connection) as cursor:
            cursor.execute(begin, prepare=False)
            try:
                custom = _plan(cursor, f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
                mode = cursor.execute("SHOW plan_cache_mode", prepare=False).fetchone()
            finally:
                cursor.execute(end.encode(), prepare=False)
        generic = None if mode == ("force_custom_plan",) else self._generic_plan(asking, sql, params)
        return Explained(
            self._operation, sql, custom["Plan"], generic, custom["Planning Time"], custom["Execution Time"]
        )

    def _generic_plan(self, asking: Any, sql: str, params: Parameters) -> dict[str, Any]:
        """Asked for on a connection of our own: within a pipeline a statement cannot leave its parameters open."""
        with self._own_lock:
            own = self._own.get(asking.alias)
            if own is None or own.closed:
                own = psycopg.connect(**asking.get_connection_params() | {"autocommit": True})
                self._own[asking.alias] = own
            with psycopg.Cursor(own) as cursor:
                return _plan(cursor, f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {_numbered(sql, params)}", None)[
                    "Plan"
                ]


def _plan(cursor: psycopg.Cursor[Any], sql: str, params: Parameters) -> dict[str, Any]:
    row = cursor.execute(sql.encode(), params, prepare=False).fetchone()
    assert row is not None
    return (json.loads(row[0]) if isinstance(row[0], str) else row[0])[0]


def _numbered(sql: str, params: Parameters) -> str:
    """The statement with $1, $2 ... in place of its placeholders, typed as psycopg would type them."""
    if params is None:
        return sql
    if isinstance(params, Mapping):
        return sql % {name: _typed(number, params[name]) for number, name in enumerate(params, 1)}
    return sql % tuple(_typed(number, value) for number, value in enumerate(params, 1))


def _typed(number: int, value: Any) -> str:
    if isinstance(value, list | tuple):
        known = next((item for item in value if item is not None), None)
        name = TYPES.get(type(known))
        return f"${number}::{name}[]" if name else f"${number}"
    name = TYPES.get(type(value)) if not isinstance(value, str) else None
    return f"${number}::{name}" if name else f"${number}"
