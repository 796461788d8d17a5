"""The desk's inbox as a Django app."""

from django.apps import AppConfig


class AcceptanceConfig(AppConfig):
    """Takes orders in, once each."""

    name = "acceptance"
