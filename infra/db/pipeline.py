"""Statements that travel together: one message to the server, one answer, and next to no work in between.

A cursor costs some 70 µs of Python and 20 µs of the server's time for each statement, since it sends and awaits each by
itself even in psycopg's pipeline mode. Where orders are placed, statements are therefore handed to libpq directly.
Invariant: this module knows nothing of orders, and a caller sees the rows, or the first error, as of a cursor.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from django.db import connections
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from infra.db.rows import reader

Rows = list[tuple[Any, ...]]
_Bound = tuple[str, list[bytes | None]]

# What a prepared statement fails with that is gone, or reads a column whose type has changed.
_STALE = ("26000", "0A000")
_BEGIN = "BEGIN"
_numbers = count()
# Names of the statements that are prepared on a connection, of those connections where that is ours to do.
_prepared: WeakKeyDictionary[psycopg.Connection[Any], dict[str, bytes]] = WeakKeyDictionary()


class Statement(NamedTuple):
    """A statement with `%s` for each of its parameters, which are cast to their types in its text, and no other `%`.

    Parameters are str (of `infra.db.arrays`, for instance), int, bool, Decimal, date, datetime or None.
    """

    sql: str
    parameters: Sequence[Any]


def prepare_here(using: str) -> None:
    """From now on hand libpq what is asked on this thread's connection, and prepare nothing that goes through cursors.

    Each would deallocate what the other has prepared. For new connections that do little else than to ask; on others
    it goes through cursors. Transactions begin as the server's defaults say, not Django's options.
    """
    connection = connections[using]
    connection.ensure_connection()
    connection.connection.prepare_threshold = None
    _prepared.setdefault(connection.connection, {})


def ask(using: str, *asked: Statement) -> list[Rows]:
    """The rows of each statement, run in this order on this thread's connection; more than one within a transaction.

    They are read in binary, so JSON comes decoded; everything else comes as from Django's cursors.

    Raises: Django's database errors, of the first statement that fails; those after it are not run.
    """
    connection = connections[using]
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    raw = connection.connection
    prepared = _prepared.get(raw)
    if prepared is None or connection.execute_wrappers:  # wrappers that watch statements see cursors only
        return _by_cursors(using, asked)
    with connection.wrap_database_errors:
        return _directly(raw, prepared, asked)


def _by_cursors(using: str, asked: Sequence[Statement]) -> list[Rows]:
    """One after the other: in a pipeline of its own psycopg may take a statement of a failed one for prepared."""
    rows: list[Rows] = []
    for statement in asked:
        with reader(using) as cursor:
            cursor.execute(statement.sql, statement.parameters)
            rows.append([] if cursor.description is None else cursor.fetchall())
    return rows


def _directly(
    raw: psycopg.Connection[Any], prepared: dict[str, bytes], asked: Sequence[Statement]
) -> list[Rows]:
    with raw.lock:
        bound = [(sql, [_bound(value) for value in parameters]) for sql, parameters in asked]
        return _rows(raw, raw.wait(_exchanged(raw, prepared, bound)))


def _rows(raw: psycopg.Connection[Any], results: Sequence[PGresult]) -> list[Rows]:
    reading = Transformer(raw)
    rows: list[Rows] = []
    for result in results:
        reading.set_pgresult(result)
        rows.append(reading.load_rows(0, result.ntuples, tuple))
    return rows


def _exchanged(
    raw: psycopg.Connection[Any], prepared: dict[str, bytes], bound: Sequence[_Bound]
) -> PQGen[list[PGresult]]:
    """Send everything, then read everything; a generator for `Connection.wait` whose value is a result for each."""
    server = raw.pgconn
    try:
        server.enter_pipeline_mode()
        sent = [*_begun(raw), *_sent(server, prepared, bound)]
        server.pipeline_sync()
        yield from generators.send(server)
        results: list[PGresult] = []
        for _ in range(len(sent) + 1):
            results += yield from generators.fetch_many(server)
        server.exit_pipeline_mode()
        if len(results) != len(sent) + 1 or results.pop().status != ExecStatus.PIPELINE_SYNC:
            raise psycopg.InternalError("not every statement was answered")
    except BaseException:  # with any of them answers may be left that the next caller would take for its own
        raw.close()
        raise
    _check(raw, prepared, sent, results)
    return [result for prepares, result in zip(sent, results, strict=True) if prepares is None]


def _begun(raw: psycopg.Connection[Any]) -> Iterator[str | None]:
    """Begin a transaction where a cursor would."""
    if not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE:
        raw.pgconn.send_query_params(b"BEGIN", None)
        yield _BEGIN


def _sent(server: PGconn, prepared: dict[str, bytes], bound: Sequence[_Bound]) -> Iterator[str | None]:
    """Queue all statements; for each result that will come, the statement that is prepared, or None for an answer."""
    for sql, values in bound:
        if sql not in prepared:
            prepared[sql] = b"asked_%d" % next(_numbers)
            server.send_prepare(prepared[sql], _numbered(sql))
            yield sql
        server.send_query_prepared(prepared[sql], values, result_format=Format.BINARY)
        yield None


def _check(
    raw: psycopg.Connection[Any],
    prepared: dict[str, bytes],
    sent: Sequence[str | None],
    results: Sequence[PGresult],
) -> None:
    """Raise the first error, and forget what was not prepared because of it or can be used no longer."""
    failed = [
        (prepares, result)
        for prepares, result in zip(sent, results, strict=True)
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
    ]
    if not failed:
        return
    for prepares, _ in failed:
        if prepares is not None:
            prepared.pop(prepares, None)
    error = psycopg.errors.error_from_result(failed[0][1], encoding=raw.info.encoding)
    if error.sqlstate in _STALE:
        prepared.clear()
    raise error


def _bound(value: Any) -> bytes | None:
    """A parameter as text."""
    match value:
        case None:
            return None
        case str():
            encoded = value.encode()
        case datetime() | date():
            encoded = value.isoformat().encode()
        case int() | Decimal():
            encoded = str(value).encode()
        case _:
            raise TypeError(f"{type(value).__name__} cannot be asked with")
    if b"\0" in encoded:
        raise psycopg.DataError("text cannot contain NUL (0x00)")
    return encoded


@lru_cache(maxsize=1000)
def _numbered(sql: str) -> bytes:
    """The statement as the server takes it: `$1` for the first `%s`."""
    first, *others = sql.split("%s")
    return "".join([first, *(f"${number}{part}" for number, part in enumerate(others, 1))]).encode()
