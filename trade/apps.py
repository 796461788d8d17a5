"""The trade page as a Django app; it has templates and no tables."""

from django.apps import AppConfig


class TradeConfig(AppConfig):
    """Takes no part in anything but the addresses below /trade/."""

    name = "trade"
