"""What is brought up to date after every `migrate` of a database, once, when all apps have been migrated."""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db.models.signals import post_migrate


def after_migrations(work: Callable[..., None], *, database: str) -> None:
    """Have `work(using=database)` called."""

    def run(sender: Any, using: str, **signal: Any) -> None:
        # Django tells of each app; permissions, for one, are there only after all of them.
        last = [app for app in apps.get_app_configs() if app.models_module is not None][-1]
        if sender is last and using == database:
            work(using=using)

    post_migrate.connect(run, weak=False, dispatch_uid=f"{work.__module__}.{work.__name__}")
