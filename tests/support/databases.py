"""The test databases as other programs and plain connections reach them, and who waits in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection, connections
from psycopg.conninfo import make_conninfo


def conninfo(alias: str) -> str:
    """Where this worker's test database is."""
    parts = connections[alias].settings_dict
    known = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return make_conninfo(**{name: parts[key] for name, key in known.items() if parts[key]})


def environment() -> dict[str, str]:
    """The variables that name both databases of this test session."""
    return {"DATABASE_URL": conninfo("default"), "DESK_DATABASE_URL": conninfo("desk")}


NEVER_EMPTIED = """
    SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgname LIKE '%\\_never\\_emptied' ORDER BY 1
"""


def never_emptied(alias: str) -> list[tuple[str, str]]:
    """The tables that the database refuses to truncate, each with the trigger that does it."""
    with connections[alias].cursor() as cursor:
        cursor.execute(NEVER_EMPTIED)
        return cursor.fetchall()


def may_be_emptied(alias: str) -> None:
    """Let the tables of a test database be truncated, which is how the rows of each test are cleared away."""
    with connections[alias].cursor() as cursor:
        for table, trigger in never_emptied(alias):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")


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
