"""The least that django-hordak asks for."""

from tools.bench.peers.database import databases

SECRET_KEY = "not secret: nothing is served"  # noqa: S105
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "mptt",
    "djmoney",
    "hordak",
]
DATABASES = databases()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DEFAULT_CURRENCY = HORDAK_INTERNAL_CURRENCY = "USD"
CURRENCIES = ["USD"]
