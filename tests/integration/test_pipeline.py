"""Statements that travel together: what a caller sees is what cursors would have shown, one after the other."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from django.db import (
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from infra.db.arrays import array
from infra.db.pipeline import Statement, ask, prepare_here

pytestmark = pytest.mark.django_db(transaction=True)

MOMENT = datetime(2026, 11, 24, 18, 0, 0, 123456, tzinfo=UTC)
ECHO = "SELECT %s::text"


@pytest.fixture(params=["by cursors", "directly"])
def preparing(request):
    """Both kinds of connection; it is closed afterwards, so that no other test has it."""
    connection.close()
    if request.param == "directly":
        prepare_here("default")
    yield request.param
    connection.close()


@pytest.fixture
def table(preparing):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE noted (id int PRIMARY KEY)")


def noted():
    [rows] = ask("default", Statement("SELECT id FROM noted ORDER BY id", []))
    return [row[0] for row in rows]


def note(number):
    return Statement("INSERT INTO noted VALUES (%s::int)", [number])


def names():
    [rows] = ask(
        "default", Statement("SELECT name FROM pg_prepared_statements WHERE name LIKE 'asked%%'", [])
    )
    return len(rows)


def test_each_statement_is_answered_with_its_rows(preparing):
    sql = "SELECT %s::bigint, %s::numeric, %s::timestamptz, %s::text, %s::text"
    told = (7, Decimal("1.230000"), MOMENT, "it's", None)
    for _ in range(3):
        assert ask(
            "default", Statement(sql, told), Statement("SELECT 1 WHERE false", []), Statement(ECHO, ["b"])
        ) == [
            [told],
            [],
            [("b",)],
        ]


def test_what_is_read_has_the_types_that_a_cursor_gives(preparing):
    [[row]] = ask("default", Statement("SELECT 1.50::numeric, now(), 'x'::varchar, true, ARRAY[1,2]", []))
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1.50::numeric, now(), 'x'::varchar, true, ARRAY[1,2]")
        assert [type(value) for value in cursor.fetchone()] == [type(value) for value in row]


def test_a_column_of_values_goes_as_an_array(preparing):
    values = ['a"b', "c\\d", "", None, "{e,f}", "ünf"]
    [rows] = ask("default", Statement("SELECT unnest(%s::text[])", [array(values)]))
    assert [row[0] for row in rows] == values


def test_they_begin_the_transaction_that_they_are_in_and_end_with_it(table):
    with transaction.atomic():
        ask("default", note(1), note(2))
        assert noted() == [1, 2]
        transaction.set_rollback(True)
    assert noted() == []
    with transaction.atomic():
        ask("default", note(3))
    assert noted() == [3]


def test_the_first_error_is_raised_and_nothing_after_it_is_run(table):
    ask("default", note(1))
    for _ in range(6):
        with pytest.raises(IntegrityError) as raised, transaction.atomic():
            ask("default", note(2), note(1), note(3), Statement("SELECT 1/0", []))
        assert raised.value.__cause__.sqlstate == "23505"
        assert noted() == [1]
    ask("default", note(2), note(3))
    assert noted() == [1, 2, 3]


def test_a_statement_that_is_wrong_is_never_taken_for_prepared(preparing):
    for _ in range(2):
        with pytest.raises(ProgrammingError):
            ask("default", Statement(ECHO, ["a"]), Statement("SELECT nothing_such", []))
    assert ask("default", Statement(ECHO, ["a"])) == [[("a",)]]


def test_text_that_the_server_cannot_hold_is_refused_before_it_is_sent(preparing):
    with pytest.raises(DataError):
        ask("default", Statement(ECHO, ["a\0b"]))
    assert ask("default", Statement(ECHO, ["ab"])) == [[("ab",)]]


def test_each_text_is_prepared_once_a_connection_where_that_is_ours_to_do():
    connection.close()
    prepare_here("default")
    for value in ("a", "b"):
        ask("default", Statement(ECHO, [value]), Statement(ECHO, [value]))
    assert names() == 2  # it, and the question itself
    connection.close()
    ask("default", Statement(ECHO, ["c"]))
    assert names() == 0


def test_what_is_prepared_outlives_a_rollback_and_a_dropped_table(table):
    """psycopg forgets all that is prepared after either; where we prepare it has nothing to forget."""
    for _ in range(6):
        with transaction.atomic():
            ask("default", note(1))
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM noted")
            transaction.set_rollback(True)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE noted")
        cursor.execute("CREATE TEMPORARY TABLE noted (id int PRIMARY KEY)")
    ask("default", note(1))
    assert noted() == [1]


def test_a_column_whose_type_changes_fails_once_at_most(preparing):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE priced (price numeric(20, 8))")
    asked = Statement("SELECT price FROM priced", [])
    for _ in range(6):
        assert ask("default", asked) == [[]]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE priced ALTER price TYPE numeric(28, 8)")
    with suppress(NotSupportedError):
        ask("default", asked)
    assert ask("default", asked) == [[]]


def test_who_watches_statements_sees_them(preparing):
    seen = []

    def watch(execute, sql, parameters, many, context):
        seen.append(sql)
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(watch):
        assert ask("default", Statement(ECHO, ["a"])) == [[("a",)]]
    assert seen == [ECHO]


def test_what_cannot_be_text_is_refused():
    connection.close()
    prepare_here("default")
    with pytest.raises(TypeError):
        ask("default", Statement(ECHO, [b"a"]))
    assert ask("default", Statement(ECHO, ["a"])) == [[("a",)]]
    connection.close()


def test_a_connection_that_ends_in_the_middle_is_not_used_again(preparing):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    with psycopg.connect(**psycopg_terms()) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(OperationalError), transaction.atomic():
        ask("default", Statement(ECHO, ["a"]), Statement(ECHO, ["b"]))
    connection.close()
    assert ask("default", Statement(ECHO, ["a"])) == [[("a",)]]


def test_more_than_the_buffers_hold_goes_both_ways(preparing):
    """Neither side may wait for the other to read first."""
    long = "x" * 3_000_000
    assert ask("default", *[Statement(ECHO, [long])] * 5) == [[(long,)]] * 5


def psycopg_terms():
    info = connection.connection.info
    return {
        "host": info.host,
        "port": info.port,
        "dbname": info.dbname,
        "user": info.user,
        "password": info.password,
    }
