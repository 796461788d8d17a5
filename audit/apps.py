"""The audit as a Django app: a management command, and the table of what it found."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Gives `manage.py audit` its home."""

    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"
