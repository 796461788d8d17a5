"""Who set what an order's size is charged by in a coin."""

from django.db import models


class DepthChange(models.Model):
    """Who set what an order's size is charged by in a coin, when, to what (USDT) and why. Append-only."""

    underlying = models.CharField(max_length=8)
    delta_depth = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    vega_depth = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    premium_depth = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    reason = models.TextField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"depths of {self.underlying}"
