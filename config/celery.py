"""The Celery app; tasks are doors only, truth is in the database, so a task may run twice or never."""

import os
from typing import Any

from celery import Celery
from celery.signals import task_prerun

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("crossbook")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Left alone, Celery closes every database connection before and after each task, whatever CONN_MAX_AGE says, and a
# new one costs more than most tasks. The name is Celery's own and knows no namespace.
app.conf.CELERY_DB_REUSE_MAX = 10**9
app.autodiscover_tasks()


@task_prerun.connect
def check_connections(**signal: Any) -> None:
    """Have a thread's kept connections checked on their next use, as Django does for each request."""
    from django.db import close_old_connections

    close_old_connections()
