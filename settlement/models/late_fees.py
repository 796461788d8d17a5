"""Commissions whose worth in USDT could not be told when their trades were booked."""

from django.db import models

from settlement.models.conversions import Conversion


class LateFee(models.Model):
    """What a conversion's order paid in a third asset that had no price then: worth so much USDT, as was told later.

    The asset itself left the wallet and is booked with the trades. The house bears what was not valued in time.
    """

    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="late_fees")
    asset = models.CharField(max_length=64)
    amount = models.DecimalField(max_digits=28, decimal_places=8)  # negative: a rebate
    taken_at = models.DateTimeField()
    worth_usdt = models.DecimalField(
        "worth in USDT", max_digits=28, decimal_places=8, null=True
    )  # null: not known yet
    valued_at = models.DateTimeField(null=True)
    valued_by = models.CharField(max_length=64, blank=True)

    class Meta:
        permissions = [("value_latefee", "Can enter what a late fee was worth")]
        constraints = [
            models.UniqueConstraint(fields=["conversion", "asset"], name="late_fee_once"),
            models.CheckConstraint(
                condition=models.Q(worth_usdt__isnull=True, valued_at__isnull=True)
                | models.Q(worth_usdt__isnull=False, valued_at__isnull=False),
                name="late_fee_valued",
            ),
        ]
        indexes = [
            models.Index(
                fields=["asset"], condition=models.Q(valued_at__isnull=True), name="late_fee_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.asset} of conversion {self.conversion_id}"
