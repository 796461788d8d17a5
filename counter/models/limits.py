"""Limits of single customers and series, what is used of each series, and who set a limit."""

from django.db import models

from counter.models.accounts import Customer
from counter.models.options import Option


class CustomerLimit(models.Model):
    """What one customer may do; null is the default of the settings. Read by every batch with his account."""

    customer = models.OneToOneField(Customer, primary_key=True, on_delete=models.PROTECT)
    contracts = models.IntegerField(null=True, blank=True)
    notional = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)
    orders_per_s = models.IntegerField(null=True, blank=True)

    class Meta:
        permissions = [("set_customerlimit", "Can set a customer's limits")]
        constraints = [
            models.CheckConstraint(condition=models.Q(contracts__gte=0), name="customer_limit_contracts"),
            models.CheckConstraint(condition=models.Q(notional__gte=0), name="customer_limit_notional"),
            models.CheckConstraint(condition=models.Q(orders_per_s__gte=1), name="customer_limit_orders"),
        ]

    def __str__(self) -> str:
        return f"limits of {self.customer}"


class SeriesLimit(models.Model):
    """How much of one option all customers together may have open; null is the default of the settings."""

    option = models.OneToOneField(Option, primary_key=True, on_delete=models.CASCADE)
    contracts = models.IntegerField(null=True, blank=True)
    notional = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)

    class Meta:
        permissions = [("set_serieslimit", "Can set a series' limits")]
        constraints = [
            models.CheckConstraint(condition=models.Q(contracts__gte=0), name="series_limit_contracts"),
            models.CheckConstraint(condition=models.Q(notional__gte=0), name="series_limit_notional"),
        ]

    def __str__(self) -> str:
        return f"limits of {self.option}"


class SeriesUse(models.Model):
    """What customers have open of an option, and what is left of its limits, as the feed measured it last."""

    option = models.OneToOneField(Option, primary_key=True, on_delete=models.CASCADE)
    contracts = models.BigIntegerField()
    notional = models.DecimalField(max_digits=28, decimal_places=6)  # USDT, the cost of what is open
    contracts_left = models.BigIntegerField()
    notional_left = models.DecimalField(max_digits=28, decimal_places=6)

    def __str__(self) -> str:
        return f"{self.contracts} of option {self.option_id}"


class LimitChange(models.Model):
    """Who set the limits of a customer or of a series, when, to what and why. Append-only."""

    customer_id = models.BigIntegerField(null=True)
    option_id = models.BigIntegerField(null=True)
    contracts = models.IntegerField(null=True)
    notional = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    orders_per_s = models.IntegerField(null=True)
    reason = models.TextField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField()

    def __str__(self) -> str:
        whose = f"customer {self.customer_id}" if self.customer_id else f"option {self.option_id}"
        return f"limits of {whose}"
