"""The desk's treasury as a Django app."""

from django.apps import AppConfig


class SettlementConfig(AppConfig):
    """Converts, balances, reports."""

    name = "settlement"
