"""The Celery app; database connections are kept from task to task."""

from celery import Celery

app = Celery("plain_chain")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.CELERY_DB_REUSE_MAX = 10**9
app.autodiscover_tasks(["tools.bench.peers.plain_chain"])
