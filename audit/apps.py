"""The audit as a Django app: a management command, no tables."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Gives `manage.py audit` its home."""

    name = "audit"
