"""The plumbing as a Django app: its tables, admin pages, commands and the canary."""

from django.apps import AppConfig


class InfraConfig(AppConfig):
    """Its tables were made under the label `config`, which therefore stays."""

    name = "infra"
    label = "config"

    def ready(self) -> None:
        """States are written into statements before the first one is made."""
        from infra.db import literal_states  # imports what needs the apps' settings

        literal_states.register()
