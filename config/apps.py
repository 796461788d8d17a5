"""Starts what every process needs once Django is loaded: the Celery app, structured logs, Sentry."""

import gc

from django.apps import AppConfig


class WiringConfig(AppConfig):
    """What ties the apps together; it has no tables."""

    name = "config"
    label = "wiring"

    def ready(self) -> None:
        from config import celery, schedules  # noqa: F401 - tasks belong to its app
        from infra.admin import roles
        from infra.db.after_migrations import after_migrations
        from infra.observability import logging

        logging.configure()
        after_migrations(roles.fill, database="default")
        after_migrations(schedules.make_missing, database="default")
        # What is loaded lasts: to look through it at each collection and at the end took a quarter of a command's CPU.
        gc.freeze()
        gc.enable()
