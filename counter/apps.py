"""The customers' side of Crossbook as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CounterConfig(AppConfig):
    """Keeps the chart of system accounts complete after every migration."""

    name = "counter"

    def ready(self) -> None:
        from counter.money.chart import ensure_system_accounts

        post_migrate.connect(ensure_system_accounts, sender=self)
