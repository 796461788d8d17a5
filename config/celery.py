"""The Celery app; tasks are doors only, truth is in the database, so a task may run twice or never."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("crossbook")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
