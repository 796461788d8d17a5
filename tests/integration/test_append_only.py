"""History is never changed: each ledger table of both databases refuses UPDATE, DELETE and TRUNCATE, empty or not."""

import pytest
from django.db import DatabaseError, connections, transaction

from tests.support.databases import never_emptied

HISTORY = {
    "default": {
        *("counter_transfer", "counter_cashmovement", "counter_tradingstatuschange"),
        *(
            "counter_tradingswitchchange",
            "counter_resumerequest",
            "counter_limitchange",
            "counter_depthchange",
        ),
        *("counter_settlementindex", "counter_optionchange", "counter_clearingpayment"),
        *("cockpit_daystatement", "cockpit_dayclose"),
    },
    "desk": {
        *("settlement_desktransfer", "settlement_statechange", "settlement_allocation", "settlement_fill"),
        *("settlement_venueaccount", "acceptance_orderstep", "acceptance_orderstepsbegin"),
    },
}
# Decided once and otherwise kept: tests/integration/desk/test_interventions.py tries its rows.
KEPT = {"default": set(), "desk": {"settlement_intervention"}}
CHANGES = ("DELETE FROM {table}", "UPDATE {table} SET {column} = {column}", "TRUNCATE {table} CASCADE")


@pytest.mark.django_db(databases=["default", "desk"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("alias", "table"), [(alias, name) for alias in HISTORY for name in sorted(HISTORY[alias])]
)
def test_what_is_written_stays(alias, table, change):
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        column = cursor.description[0].name
        with pytest.raises(DatabaseError, match=f"{table} is append-only"), transaction.atomic(using=alias):
            cursor.execute(change.format(table=table, column=column))


@pytest.mark.django_db(databases=["default", "desk"])
def test_every_table_that_refuses_changes_refuses_to_be_emptied():
    for alias, tables in HISTORY.items():
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%\\_append\\_only'"
            )
            assert {table for (table,) in cursor.fetchall()} == tables
        assert {table for table, _ in never_emptied(alias)} == tables | KEPT[alias]


@pytest.mark.django_db(databases=["default", "desk"])
@pytest.mark.parametrize(("alias", "table"), [(alias, name) for alias in KEPT for name in KEPT[alias]])
def test_what_is_kept_cannot_be_emptied(alias, table):
    with (
        connections[alias].cursor() as cursor,
        pytest.raises(DatabaseError, match=f"{table} keeps"),
        transaction.atomic(using=alias),
    ):
        cursor.execute(f"TRUNCATE {table} CASCADE")
