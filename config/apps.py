"""Starts what every process needs once Django is loaded: the Celery app, structured logs, Sentry."""

import sys

from django.apps import AppConfig

THREAD_SWITCH_SECONDS = 0.0002


class ConfigConfig(AppConfig):
    """The plumbing as an app, so that its migrations (the schedules) and start-up run with the others."""

    name = "config"
    label = "config"

    def ready(self) -> None:
        # Our threads wait on sockets far more than they compute. With the default of 5 ms a thread whose answer has
        # come waits that long for each computing one, once for every statement: a settlement took ten times as long.
        sys.setswitchinterval(THREAD_SWITCH_SECONDS)
        from config import celery, watching  # noqa: F401

        watching.configure()
