"""The Celery app; tasks are doors only, truth is in the database, so a task may run twice or never."""

import os
from typing import Any

from celery import Celery, Task
from celery.signals import before_task_publish, task_postrun, task_prerun
from structlog.contextvars import bind_contextvars, clear_contextvars

from config import trail

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("crossbook")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Left alone, Celery closes every database connection before and after each task, whatever CONN_MAX_AGE says, and a
# new one costs more than most tasks. The name is Celery's own and knows no namespace.
app.conf.CELERY_DB_REUSE_MAX = 10**9
app.autodiscover_tasks()


@before_task_publish.connect
def send_ids_along(headers: dict[str, Any], **signal: Any) -> None:
    """A task is told what it was called for, and so are the tasks that it calls."""
    headers[trail.HEADER] = trail.bound()


@task_prerun.connect
def take_up_ids(task: Task, **signal: Any) -> None:
    """Every line of a task shows what it was called for."""
    clear_contextvars()
    bind_contextvars(**trail.ids_of(task.request.get(trail.HEADER) or {}))


@task_postrun.connect
def drop_ids(**signal: Any) -> None:
    """What this process says next is not about that any more."""
    clear_contextvars()


@task_prerun.connect
def check_connections(**signal: Any) -> None:
    """Have a thread's kept connections checked on their next use, as Django does for each request."""
    from django.db import close_old_connections

    close_old_connections()
