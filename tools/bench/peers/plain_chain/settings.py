"""Settings as a careful Django developer would choose them for speed."""

import os

from tools.bench.peers.database import BROKER_VARIABLE, databases

SECRET_KEY = "not secret: nothing is served"  # noqa: S105
INSTALLED_APPS = ["tools.bench.peers.plain_chain"]
DATABASES = databases()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

CELERY_BROKER_URL = os.environ[BROKER_VARIABLE]
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 16
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
