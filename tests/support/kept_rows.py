"""Rows that many tests begin with: made by the first of them in this process, and put back for the others.

To make them by the product's operations costs from 20 to 250 ms of CPU, to put them back some 5. Only for tests that
commit: the databases are as migrated when such a test begins. Times in the rows are those of when they were made.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db import connections

Made = TypeVar("Made")

# What migrations inserted is kept only where it was changed.
KEEP = """
DO $$
DECLARE
    found record;
    has_rows boolean;
BEGIN
    SET LOCAL client_min_messages = warning;
    DROP SCHEMA IF EXISTS {schema} CASCADE;
    CREATE SCHEMA {schema};
    FOR found IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
        -- The stream program, which tests share, writes this one every few seconds.
        CONTINUE WHEN found.relname = 'counter_streamprocess';
        CONTINUE WHEN EXISTS (
            SELECT FROM as_restored.marks
            WHERE relname = found.relname AND marks = as_restored.mark(found.relname)
        );
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', found.relname) INTO has_rows;
        IF has_rows THEN
            EXECUTE format('CREATE TABLE {schema}.%1$I AS TABLE public.%1$I', found.relname);
        END IF;
    END LOOP;
END $$
"""
PUT_BACK = """
DO $$
DECLARE
    kept text;
BEGIN
    -- Neither append-only triggers nor foreign keys stand in the way.
    SET LOCAL session_replication_role = replica;
    FOR kept IN
        SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'
    LOOP
        EXECUTE format('DELETE FROM public.%I', kept);
        EXECUTE format('INSERT INTO public.%1$I SELECT * FROM {schema}.%1$I', kept);
    END LOOP;
END $$
"""
_made: dict[Callable[[], Any], tuple[str, Any]] = {}


def once(make: Callable[[], Made]) -> Made:
    """What `make` returns, which is called once in a process; its rows are counter's. Nobody changes the result."""
    if make in _made:
        schema, found = _made[make]
        put_back(schema)
        return found
    schema, found = f"as_made_{len(_made)}", make()
    keep(schema)
    _made[make] = schema, found
    return found


def keep(schema: str, aliases: Sequence[str] = ("default",)) -> None:
    """Copy all rows that no migration has inserted to a schema of that name."""
    _run(KEEP, schema, aliases)


def put_back(schema: str, aliases: Sequence[str] = ("default",)) -> None:
    """Give databases that are as migrated the rows that were kept."""
    _run(PUT_BACK, schema, aliases)


def _run(statement: str, schema: str, aliases: Sequence[str]) -> None:
    for alias in aliases:
        with connections[alias].cursor() as cursor:
            cursor.execute(statement.format(schema=schema))
