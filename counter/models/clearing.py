"""What was paid between counter and the desk for what the one owed the other."""

from django.db import models


class ClearingPayment(models.Model):
    """One payment as the desk's two people approved it: booked, once for each reference, or refused and why.

    Append-only: the first answer to a payment, known by its reference and the desk's id, stays the answer.
    """

    class Direction(models.TextChoices):
        TO_DESK = "to_desk", "counter pays the desk"
        TO_COUNTER = "to_counter", "the desk pays counter"

    reference = models.CharField(max_length=64)
    payment_id = models.BigIntegerField(null=True)  # the desk's; of the release before: none
    asset = models.CharField(max_length=8)
    direction = models.CharField(max_length=10, choices=Direction)
    amount = models.DecimalField(max_digits=20, decimal_places=6)
    requested_by = models.CharField(max_length=150)
    approved_by = models.CharField(max_length=150)
    refusal = models.TextField(blank=True)  # blank: booked
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="clearing_payment_amount_positive"),
            models.UniqueConstraint(
                fields=["reference"],
                condition=models.Q(refusal=""),
                name="clearing_payment_booked_once",
            ),
            models.UniqueConstraint(
                fields=["reference", "payment_id"],
                name="clearing_payment_answered_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_direction_display()} {self.amount} {self.asset}: {self.reference}"
