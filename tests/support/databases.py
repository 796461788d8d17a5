"""The test databases: cloned for each process, emptied after each test, as others reach them, and who waits in them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tools.embedded import postgres
from tools.stack.supervision import wait_until

ALIASES = ("default", "desk")
# A thread or process that a test left behind holds rows: the test says so, and does not wait for ever.
CLEARED_WITHIN = "30s"
READY_WITHIN_SECONDS = 60.0
RESTORE = "SELECT as_migrated.restore()"
# What DISCARD ALL does, but for the prepared statements, of which psycopg keeps a list.
AS_NEW = "CLOSE ALL; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"
CLEARING = "clearing"  # application_name of the connection that clears, for tests that count the others


def _server() -> str:
    """The session's server; nobody but us is connected to this database, so the migrated ones can be copied."""
    return postgres.url(var_dir=Path(os.environ["VAR_DIR"]), database="postgres")


def server_answers() -> bool:
    try:
        psycopg.connect(_server(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def clone(*, suffix: str) -> None:
    """Make this process's copies of the migrated databases the ones of Django, and clear them after each test."""
    with psycopg.connect(_server(), autocommit=True) as server:
        for alias in ALIASES:
            migrated = connections[alias].settings_dict["NAME"]
            name = f"test_{migrated}{suffix}"
            server.execute(f"CREATE DATABASE {name} TEMPLATE {migrated} STRATEGY file_copy")
            connections[alias].close()
            settings.DATABASES[alias]["NAME"] = connections[alias].settings_dict["NAME"] = name
    # Django's stubs know neither. The second would close what the first has left as new.
    setattr(TransactionTestCase, "_fixture_teardown", _clear)  # noqa: B010
    setattr(TransactionTestCase, "_should_reload_connections", lambda test: False)  # noqa: B010


def copied(suffix: str) -> dict[str, str]:
    """Make copies of the migrated databases for a stack of a test, which need not migrate its own; its variables."""
    names = {"DATABASE_URL": postgres.DATABASES[0], "DESK_DATABASE_URL": postgres.DATABASES[1]}
    assert wait_until(server_answers, within_seconds=READY_WITHIN_SECONDS)
    with psycopg.connect(_server(), autocommit=True) as server:
        for migrated in names.values():
            server.execute(f"CREATE DATABASE {migrated}_{suffix} TEMPLATE {migrated} STRATEGY file_copy")
    var_dir = Path(os.environ["VAR_DIR"])
    return {name: postgres.url(var_dir=var_dir, database=f"{of}_{suffix}") for name, of in names.items()}


def leave() -> None:
    """Close what `clone` and the clearing opened."""
    _leave_clearing()
    connections.close_all()


def _leave_clearing() -> None:
    if _clearing.cache_info().currsize:
        for alias in ALIASES:
            _clearing(alias).close()
        _clearing.cache_clear()


@cache
def _clearing(alias: str) -> psycopg.Connection:
    return psycopg.connect(
        conninfo(alias),
        autocommit=True,
        application_name=CLEARING,
        options=f"-c lock_timeout={CLEARED_WITHIN} -c default_transaction_read_only=off",
    )


def _clear(test: TransactionTestCase) -> None:
    """Leave the databases of a test as the migrations made them; see tests/support/template.py."""
    for alias in ALIASES if test.databases == "__all__" else test.databases:
        _leave_as_new(connections[alias])
        try:
            _clearing(alias).execute(RESTORE)
        except psycopg.OperationalError:
            if not _clearing(alias).closed:
                raise
            _leave_clearing()  # the test ended all connections, ours too
            _clearing(alias).execute(RESTORE)


def _leave_as_new(connection: BaseDatabaseWrapper) -> None:
    """Nothing of a test is left in its session, which the next one goes on with: a new one costs 7 ms on both sides.

    One that is in a transaction, or broken, is closed, with any lock that it still holds.
    """
    if not _is_at_rest(connection):
        connection.close()
        return
    try:
        connection.connection.execute(AS_NEW)
        connection.init_connection_state()
    except psycopg.Error:
        connection.close()


def _is_at_rest(connection: BaseDatabaseWrapper) -> bool:
    return (
        connection.connection is not None
        and not connection.in_atomic_block
        and not connection.errors_occurred
        and connection.get_autocommit()
        and connection.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    )


def conninfo(alias: str) -> str:
    """Where this worker's test database is."""
    parts = connections[alias].settings_dict
    known = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return make_conninfo(**{name: parts[key] for name, key in known.items() if parts[key]})


TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
SEQUENCES = (
    "SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
)


def copy_rows(*, source: str, target: str) -> None:
    """Put the rows of one migrated database in the place of those of another, and its sequences where they stand."""
    with psycopg.connect(source) as there, psycopg.connect(target) as here:
        here.execute(
            "SET LOCAL session_replication_role = replica"
        )  # no trigger and no foreign key is in the way
        for (table,) in there.execute(TABLES).fetchall():
            name = sql.Identifier("public", table)
            here.execute(sql.SQL("DELETE FROM {}").format(name))
            with (
                there.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(name)) as rows,
                here.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(name)) as stored,
            ):
                for row in rows:
                    stored.write(row)
        for sequence, value in there.execute(SEQUENCES).fetchall():
            here.execute("SELECT setval(%s, %s)", [sequence, value])


def environment() -> dict[str, str]:
    """The variables that name both databases of this test session, and make a program one of its stack."""
    return {
        "DATABASE_URL": conninfo("default"),
        "DESK_DATABASE_URL": conninfo("desk"),
        "STACK_NAME": settings.STACK_NAME,
        "SERVICE_KEY": settings.SERVICE_KEY,
    }


NEVER_EMPTIED = """
    SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgname LIKE '%\\_never\\_emptied' ORDER BY 1
"""


def never_emptied(alias: str) -> list[tuple[str, str]]:
    """The tables that the database refuses to truncate, each with the trigger that does it."""
    with connections[alias].cursor() as cursor:
        cursor.execute(NEVER_EMPTIED)
        return cursor.fetchall()


@contextmanager
def held_account(customer_id: int) -> Iterator[psycopg.Connection]:
    """Keep everyone who wants this customer's account waiting; yields the connection that holds it."""
    with psycopg.connect(conninfo("default")) as other:
        other.execute("SELECT 1 FROM counter_account WHERE customer_id = %s FOR UPDATE", [customer_id])
        yield other


@contextmanager
def locked_table(table: str) -> Iterator[None]:
    """Keep everyone who wants a table of counter's waiting."""
    with psycopg.connect(conninfo("default")) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def waiting_for_a_lock() -> list[int]:
    """Process ids of the backends of counter's database that wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return [pid for (pid,) in cursor.fetchall()]


READ_ONLY = "ALTER DATABASE {} SET default_transaction_read_only = on"
WRITABLE = "ALTER DATABASE {} RESET default_transaction_read_only"
END_SESSIONS = f"""
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        AND application_name <> '{CLEARING}'
"""


class Failover:
    """A database whose sessions were all ended: those of now are read-only, as of a host that is not yet promoted.

    `over` lets new sessions write; those that are read-only stay so.
    """

    def __init__(self, alias: str) -> None:
        self._admin = psycopg.connect(conninfo(alias), autocommit=True)
        self._name = sql.Identifier(connections[alias].settings_dict["NAME"])
        self._alter(READ_ONLY)
        self.end_sessions()

    def over(self) -> None:
        self._alter(WRITABLE)

    def end_sessions(self) -> None:
        self._admin.execute(END_SESSIONS)

    def close(self) -> None:
        """Leave nobody a read-only session."""
        self.over()
        self.end_sessions()
        self._admin.close()

    def _alter(self, statement: str) -> None:
        self._admin.execute(sql.SQL(statement).format(self._name))


@contextmanager
def failover(*aliases: str) -> Iterator[list[Failover]]:
    """Read-only sessions of these databases, until each is `over`; this thread's own connections are new."""
    failing = [Failover(alias) for alias in aliases]
    try:
        for alias in aliases:
            connections[alias].close()
        yield failing
    finally:
        for each in failing:
            each.close()
        for alias in aliases:
            connections[alias].close()
