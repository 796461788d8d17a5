"""The plumbing as a Django app: its tables, admin pages, commands and the canary."""

from django.apps import AppConfig


class InfraConfig(AppConfig):
    """Its tables were made under the label `config`, which therefore stays."""

    name = "infra"
    label = "config"
