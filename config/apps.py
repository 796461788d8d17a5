"""Starts what every process needs once Django is loaded: the Celery app, structured logs, Sentry."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The plumbing as an app, so that its migrations (the schedules) and start-up run with the others."""

    name = "config"
    label = "config"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from config import celery, roles, watching  # noqa: F401

        watching.configure()
        post_migrate.connect(roles.keep_up, dispatch_uid="config.roles")
