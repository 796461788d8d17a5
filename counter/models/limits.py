"""Limits of single series, and who set a limit of a series or a customer."""

from django.db import models

from counter.models.options import Option


class SeriesLimit(models.Model):
    """How much of one option all customers together may have open; null is the default of the settings."""

    option = models.OneToOneField(Option, primary_key=True, on_delete=models.CASCADE)
    contracts = models.IntegerField(null=True, blank=True)
    notional = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)

    class Meta:
        permissions = [("set_limits", "Can set the limits of a customer or a series")]
        constraints = [
            models.CheckConstraint(condition=models.Q(contracts__gte=0), name="series_limit_contracts"),
            models.CheckConstraint(condition=models.Q(notional__gte=0), name="series_limit_notional"),
        ]

    def __str__(self) -> str:
        return f"limits of {self.option}"


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
