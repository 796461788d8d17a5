"""Old and new code run side by side while a release is rolled out: a migration may neither hold a table nor break one.

Squawk reads the SQL of every migration that is newer than the first release.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import connections, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from config.router import DESK_APPS

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

ROOT = Path(__file__).resolve().parents[2]
SQUAWK = Path(sys.executable).with_name("squawk")
# The last migration of the first release, 0 for an app that it did not have: until then nobody uses the tables.
FIRST_RELEASE = {"acceptance": 2, "audit": 0, "cockpit": 0, "config": 3, "counter": 6, "settlement": 7}
# Matters of taste or of Django's own SQL: none of them locks a table or breaks code that runs. A long statement harms
# nobody as long as its lock does not, and waiting for a lock is bounded by lock_timeout.
NOT_ASKED = (
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-robust-stmts",
    "prefer-text-field",
    "require-statement-timeout",
)
# What a rule says against a migration, and why it is no harm here.
HARMLESS = {
    ("counter.0012_withdrawals", "ban-drop-constraint"),  # the index of 0011 refuses all that it refused
    # Its index refuses a second booking as it did; only what was refused may now come again.
    ("counter.0025_clearing_stated_again", "ban-drop-constraint"),
    # Of a table that has a row for each throw of a kill switch: it is read through in a moment.
    ("counter.0033_taking_back", "disallowed-unique-constraint"),
    ("counter.0033_taking_back", "adding-foreign-key-constraint"),
    (
        "settlement.0021_asset_names",
        "changing-column-type",
    ),  # a longer varchar: neither rows nor indexes are written
}
LOCKS_BRIEFLY = migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop)


def sql_of(migration: migrations.Migration, state: ProjectState) -> str:
    """What the migration would run, from the state that it finds."""
    connection = connections["desk" if migration.app_label in DESK_APPS else "default"]
    with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
        migration.apply(state, editor, collect_sql=True)
    return "\n".join(editor.collected_sql)


def complaints(migration: migrations.Migration, sql: str) -> set[str]:
    """The rules that the SQL breaks."""
    created = set(re.findall(r'CREATE TABLE "?(\w+)', sql))
    touched = set(re.findall(r'(?:ALTER TABLE|DROP TABLE|\bON|UPDATE ONLY) "?(\w+)', sql))
    # Nobody waits for a table that is new, nor behind what builds concurrently.
    is_waited_for = migration.atomic and not touched <= created
    excluded = [*NOT_ASKED, *([] if is_waited_for else ["require-lock-timeout"])]
    command = [str(SQUAWK), "--pg-version", "15.0", "--reporter", "json", "--exclude", ",".join(excluded)]
    if migration.atomic:
        command.append("--assume-in-transaction")
    done = subprocess.run(
        [*command, "--stdin-filepath", "migration.sql"], input=sql, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stderr
    return {found["rule_name"] for found in json.loads(done.stdout or "[]")}


def test_no_migration_since_the_first_release_holds_or_breaks_a_table():
    loader = MigrationLoader(None)
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        if int(name[:4]) > FIRST_RELEASE.get(app, 9999):
            state = loader.project_state((app, name), at_end=False)
            told = {(f"{app}.{name}", rule) for rule in complaints(migration, sql_of(migration, state))}
            assert told <= HARMLESS


def test_every_app_of_ours_is_looked_at():
    loader = MigrationLoader(None)
    ours = {app for app, _ in loader.disk_migrations if Path(apps.get_app_config(app).path).parent == ROOT}
    assert ours == set(FIRST_RELEASE)


def made(*operations, atomic=True):
    """A migration of the counter as somebody might write it, and what is said against it."""
    loader = MigrationLoader(None)
    [leaf] = loader.graph.leaf_nodes("counter")
    migration = migrations.Migration("9999_next", "counter")
    migration.operations, migration.atomic = list(operations), atomic
    return complaints(migration, sql_of(migration, loader.project_state(leaf)))


INDEX = models.Index(fields=["placed_at"], name="by_time")


@pytest.mark.parametrize(
    ("operations", "rule"),
    [
        ([migrations.AddIndex("syncorder", INDEX)], "require-concurrent-index-creation"),
        ([migrations.RemoveIndex("syncorder", "sync_order_customer")], "require-concurrent-index-deletion"),
        ([migrations.AddField("syncorder", "note", models.TextField())], "adding-required-field"),
        ([migrations.RemoveField("syncorder", "limit")], "ban-drop-column"),
        ([migrations.RenameField("syncorder", "limit", "worst")], "renaming-column"),
        ([migrations.AlterModelTable("syncorder", "orders")], "renaming-table"),
        ([migrations.AlterField("syncorder", "contracts", models.BigIntegerField())], "changing-column-type"),
        (
            [
                migrations.AddConstraint(
                    "syncorder",
                    models.CheckConstraint(condition=models.Q(contracts__gt=0), name="some_contracts"),
                )
            ],
            "constraint-missing-not-valid",
        ),
        (
            [migrations.RunSQL("CREATE UNIQUE INDEX once ON counter_syncorder (id)")],
            "require-concurrent-index-creation",
        ),
    ],
)
def test_what_holds_a_table_or_breaks_the_code_that_runs_is_refused(operations, rule):
    assert rule in made(LOCKS_BRIEFLY, *operations)


def test_a_change_of_a_table_in_use_has_to_bound_its_wait_for_the_lock():
    column = migrations.AddField("syncorder", "note", models.TextField(null=True))
    assert made(column) == {"require-lock-timeout"}
    assert made(LOCKS_BRIEFLY, column) == set()


def test_what_locks_nobody_is_let_through():
    table = migrations.CreateModel(
        "Note",
        [("id", models.BigAutoField(primary_key=True)), ("text", models.TextField(db_index=True))],
    )
    assert made(table) == set()
    assert made(AddIndexConcurrently("syncorder", INDEX), atomic=False) == set()
