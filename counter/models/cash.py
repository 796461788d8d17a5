"""Money in and out: each step of it, once for each reference of the exchange's wallet, and where withdrawals stand."""

from datetime import datetime

from django.db import models
from django_fsm import FSMField, transition

from counter.models.accounts import Customer
from infra.db.lifecycles import Lifecycle


class CashMovement(models.Model):
    """One step of USDT that came from or goes to the exchange's wallet, under the wallet's `reference`. Append-only.

    A reference begins once, as a deposit or a reservation, and a reservation ends once, confirmed or released.
    """

    class Kind(models.TextChoices):
        DEPOSIT = "DEPOSIT"
        RESERVATION = "RESERVATION"
        CONFIRMATION = "CONFIRMATION"
        RELEASE = "RELEASE"

    ENDS = (Kind.CONFIRMATION, Kind.RELEASE)

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    kind = models.CharField(max_length=12, choices=Kind)
    amount = models.DecimalField(max_digits=20, decimal_places=6)
    reference = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "reference",
                models.ExpressionWrapper(
                    models.Q(kind__in=["CONFIRMATION", "RELEASE"]), output_field=models.BooleanField()
                ),
                name="cash_movement_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.reference}"


class Withdrawal(Lifecycle):
    """USDT that has left a customer's account for the wallet to pay out; `CashMovement` has each of its steps."""

    class State(models.TextChoices):
        RESERVED = "RESERVED"
        CONFIRMED = "CONFIRMED"
        RELEASED = "RELEASED"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False)
    amount = models.DecimalField(max_digits=20, decimal_places=6)
    reference = models.CharField(max_length=64, unique=True)
    state = FSMField(default=State.RESERVED, choices=State, max_length=9, protected=True)
    reserved_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="withdrawal_amount_positive")
        ]
        indexes = [
            models.Index(fields=["customer", "-id"], name="withdrawal_customer"),
            models.Index(fields=["state", "-id"], name="withdrawal_state"),
        ]

    def __str__(self) -> str:
        return f"{self.reference}: {self.amount} {self.state}"

    @transition(field=state, source=State.RESERVED, target=State.CONFIRMED)
    def confirm(self, *, at: datetime) -> None:
        """The wallet has paid it out."""
        self.confirmed_at = at

    @transition(field=state, source=State.RESERVED, target=State.RELEASED)
    def release(self, *, at: datetime) -> None:
        """The wallet does not pay it out; the customer has it back."""
        self.released_at = at
