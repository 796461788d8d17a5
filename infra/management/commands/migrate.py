"""`manage.py migrate`: Django's, of both databases, and brief where all migrations are applied.

Django's takes some seconds to find out that there is nothing to do: it builds every model as each migration left it.
Here the applied migrations are compared with the files. What follows migrations (permissions, roles, schedules, system
accounts) is done each time: a process that was killed in between leaves it to the next.
"""

import pkgutil
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.core.management.sql import emit_post_migrate_signal
from django.db import connections
from django.db.migrations.loader import MIGRATIONS_MODULE_NAME
from django.db.migrations.recorder import MigrationRecorder

# What asks for more than that all is applied.
PARTICULAR = (
    "app_label",
    "migration_name",
    "fake",
    "fake_initial",
    "plan",
    "run_syncdb",
    "check_unapplied",
    "prune",
)


class Command(migrate.Command):
    """Each database that is not named is migrated, one after the other."""

    requires_system_checks = []  # they load all pages; made where there is something to apply

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=None)

    def handle(self, *args: Any, **options: Any) -> None:
        named = options["database"]
        for database in [named] if named else list(connections):
            if any(options[name] for name in PARTICULAR) or unapplied(database):
                self.check(databases=[database])
                super().handle(*args, **options | {"database": database})
            else:
                emit_post_migrate_signal(options["verbosity"], options["interactive"], database)
                self.stdout.write(f"{database}: all migrations are applied")


def unapplied(database: str) -> set[tuple[str, str]]:
    """Migrations, by app and name, that lie on the disk and are not recorded in the database."""
    return _on_disk() - set(MigrationRecorder(connections[database]).applied_migrations())


def _on_disk() -> set[tuple[str, str]]:
    packages = {app.label: f"{app.name}.{MIGRATIONS_MODULE_NAME}" for app in apps.get_app_configs()}
    return {
        (label, each.name)
        for label, package in packages.items()
        if find_spec(package)
        for each in pkgutil.iter_modules(import_module(package).__path__)
        if not each.ispkg
    }
