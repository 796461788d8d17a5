"""What customers had at the end of each period: a row for each customer and period, read for the line of the past."""

from django.db import models

from counter.models.accounts import Customer


class PortfolioValue(models.Model):
    """USDT of a customer in the hour that begins at `period`, as measured `at` a moment of it.

    `worth` is what closing every position would have brought, None where that could not be told: an option had no
    fresh price, or a payout was still to come. `paid_in` is deposits less withdrawals until then: what is left of
    `balance` + `worth` without it is profit. A customer who `holds` nothing has the same until the next row.
    """

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    period = models.DateTimeField()
    at = models.DateTimeField()
    balance = models.DecimalField(max_digits=20, decimal_places=6)
    worth = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    paid_in = models.DecimalField(max_digits=20, decimal_places=6)
    holds = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "period"], name="portfolio_value_once"),
            models.CheckConstraint(condition=models.Q(balance__gte=0), name="portfolio_balance_not_negative"),
        ]
        # What is thinned: of all customers, the oldest first.
        indexes = [models.Index(fields=["period"], name="portfolio_value_period")]

    def __str__(self) -> str:
        return f"{self.balance} + {self.worth} at {self.at}"
