"""The Celery app; tasks are doors only, truth is in the database, so a task may run twice or never."""

from infra import lean_imports  # noqa: F401 - before anything else loads what it makes lean

# isort: split
import gc
import importlib
import os
from typing import Any

from celery import Celery, Task
from celery.signals import before_task_publish, task_postrun, task_prerun, worker_init
from structlog.contextvars import bind_contextvars, clear_contextvars

from config.environment import load_settings
from infra.broker import redis_transport, signed_tasks
from infra.observability import correlation

load_settings()
redis_transport.install()
# A worker would load all pages for Django's checks, and pass over what they find.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

app = Celery("crossbook", task_cls="infra.broker.signed_tasks:SignedTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Left alone, Celery closes every database connection before and after each task, in spite of CONN_MAX_AGE, and a
# new one costs more than most tasks. The name is Celery's own and knows no namespace.
app.conf.CELERY_DB_REUSE_MAX = 10**9
app.autodiscover_tasks()


@before_task_publish.connect
def send_ids_along(headers: dict[str, Any], **signal: Any) -> None:
    """A task is told what it was called for, and so are the tasks that it calls."""
    headers[correlation.HEADER] = correlation.bound()


@before_task_publish.connect
def sign(headers: dict[str, Any], body: Any, **signal: Any) -> None:
    """Workers run what this stack has sent, and nothing else."""
    signed_tasks.sign(body, headers)


@worker_init.connect
def spare_what_is_loaded(**signal: Any) -> None:
    """Have neither the collector nor a fork's first collection touch what all processes of a worker share."""
    gc.freeze()


@worker_init.connect
def send_events_only_to_who_watches(**signal: Any) -> None:
    """Have Flower's wish for task events end with it."""
    importlib.import_module("infra.broker.task_events")


@worker_init.connect
def hear_no_gossip(**signal: Any) -> None:
    """Gossip lets anybody who can write to the broker have a worker send a task, which would then be signed."""
    from celery.worker.consumer.gossip import Gossip

    Gossip.compatible_transports = set()


@task_prerun.connect
def take_up_ids(task: Task, **signal: Any) -> None:
    """Every line of a task shows what it was called for."""
    clear_contextvars()
    bind_contextvars(**correlation.ids_of(task.request.get(correlation.HEADER) or {}))


@task_postrun.connect
def drop_ids(**signal: Any) -> None:
    """What this process says next is not about that any more."""
    clear_contextvars()


@task_prerun.connect
def check_connections(**signal: Any) -> None:
    """Have a thread's kept connections checked on their next use, as Django does for each request."""
    from django.db import close_old_connections

    close_old_connections()
