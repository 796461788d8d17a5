"""`manage.py migrate` does both databases, and what follows migrations also where none is left to apply."""

from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django_celery_beat.models import PeriodicTask

from counter.models import Account
from infra.management.commands.migrate import unapplied

pytestmark = pytest.mark.django_db(databases=["default", "desk"])
LAST = MigrationLoader(None).graph.leaf_nodes("settlement")[0]


def migrate(**options: object) -> str:
    told = StringIO()
    call_command("migrate", interactive=False, stdout=told, **options)
    return told.getvalue()


def test_both_databases_are_found_migrated():
    assert migrate().splitlines() == [
        f"{database}: all migrations are applied" for database in ("default", "desk")
    ]
    assert migrate(database="desk").splitlines() == ["desk: all migrations are applied"]


def test_what_a_killed_process_did_not_come_to_is_made_by_the_next():
    kept = {
        model: set(model.objects.values_list(*names))
        for model, names in (
            (Group, ["name", "permissions__codename"]),
            (Permission, ["codename", "content_type"]),
            (PeriodicTask, ["name", "task"]),
            (Account, ["code"]),
        )
    }
    assert all(kept.values())
    Group.objects.all().delete()
    Permission.objects.all().delete()
    PeriodicTask.objects.all().delete()
    Account.objects.filter(customer=None).delete()
    migrate()
    assert set(Group.objects.values_list("name", "permissions__codename")) == kept[Group]
    assert set(Permission.objects.values_list("codename", "content_type")) == kept[Permission]
    assert set(PeriodicTask.objects.values_list("name", "task")) == kept[PeriodicTask]
    assert set(Account.objects.values_list("code")) == kept[Account]


def test_what_is_not_recorded_is_unapplied_and_only_there():
    MigrationRecorder(connections["desk"]).record_unapplied(*LAST)
    assert unapplied("desk") == {LAST}
    assert unapplied("default") == set()


def test_one_that_is_not_recorded_is_left_to_django():
    MigrationRecorder(connections["desk"]).record_unapplied(*LAST)
    told = migrate(plan=True)
    assert LAST[1] in told
    assert "all migrations are applied" not in told
    assert f"Applying settlement.{LAST[1]}... FAKED" in migrate(fake=True)
    assert unapplied("desk") == set()


def test_no_migration_that_django_would_apply_is_overlooked():
    for database in ("default", "desk"):
        recorder = MigrationRecorder(connections[database])
        recorder.migration_qs.all().delete()
        assert unapplied(database) == set(MigrationLoader(None).disk_migrations)


def test_a_database_that_there_is_not_is_named():
    with pytest.raises(CommandError, match="elsewhere"):
        call_command("migrate", "--database", "elsewhere")
