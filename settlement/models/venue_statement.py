"""The venue's statement of a day: its trades of the desk's account as it tells them, and whether it has."""

from django.db import models


class VenueStatement(models.Model):
    """What came of asking the venue for one coin's trades of a day (UTC), last."""

    class Outcome(models.TextChoices):
        TOLD = "TOLD", "told"
        SILENT = "SILENT", "did not answer"
        GONE = "GONE", "no longer available"

    day = models.DateField()
    underlying = models.CharField(max_length=8)
    outcome = models.CharField(max_length=6, choices=Outcome)
    why = models.TextField(blank=True)
    asked_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "underlying"], name="venue_statement_once")]

    def __str__(self) -> str:
        return f"{self.underlying} on {self.day}: {self.get_outcome_display()}"


class VenueTrade(models.Model):
    """One trade as the venue tells it in its statement of a day; what the desk has booked is its `Fill`."""

    symbol = models.CharField(max_length=24)
    venue_trade_id = models.CharField(max_length=64)
    venue_order_id = models.CharField(max_length=64)
    side = models.CharField(max_length=4)
    price = models.DecimalField(max_digits=20, decimal_places=8)
    coin = models.DecimalField(max_digits=20, decimal_places=8)
    usdt = models.DecimalField(max_digits=28, decimal_places=8)
    fee = models.DecimalField(max_digits=28, decimal_places=8)
    fee_asset = models.CharField(max_length=64)
    traded_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["symbol", "venue_trade_id"], name="venue_trade_once")]
        indexes = [models.Index(fields=["traded_at"], name="venue_trade_of_day")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.venue_trade_id}"
