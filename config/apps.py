"""Starts what every process needs once Django is loaded: the Celery app, structured logs, Sentry."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The plumbing as an app, so that its migrations (the schedules) and start-up run with the others."""

    name = "config"
    label = "config"

    def ready(self) -> None:
        from config import celery, watching  # noqa: F401

        watching.configure()
