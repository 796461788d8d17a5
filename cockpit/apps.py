"""The cockpit as a Django app: the admin's first page, /metrics, and the tables that their figures are read from."""

from django.apps import AppConfig


class CockpitConfig(AppConfig):
    """Stands before unfold in INSTALLED_APPS, for its first page replaces unfold's."""

    name = "cockpit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.contrib import admin

        admin.site.index_title = "Overview"
