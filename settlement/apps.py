"""The desk's treasury as a Django app."""

from django.apps import AppConfig


class SettlementConfig(AppConfig):
    """Converts, balances, reports."""

    name = "settlement"

    def ready(self) -> None:
        from acceptance.new_order_hooks import on_orders
        from settlement.task_triggers import settle_soon

        on_orders(settle_soon)
