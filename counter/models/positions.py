"""Positions: what one opening order bought and how much of it is left."""

from decimal import Decimal

from django.db import models
from django.db.models.expressions import RawSQL
from django_fsm import FSMField, transition

from counter.models.accounts import Customer
from counter.models.options import Option
from infra.db.lifecycles import Lifecycle


def living() -> RawSQL:
    """A condition on positions: something is left of them, or a payout is still to come.

    In constants, not in parameters: a prepared plan could not tell that the index of the living has what is asked for.
    """
    return RawSQL("counter_position.state IN ('OPEN', 'CLOSING')", (), output_field=models.BooleanField())


class Position(Lifecycle):
    """The contracts that one opening order bought; its id is that order's id.

    Written only under the lock of its customer's account. `unpaid` counts closes whose payout waits for the fill.
    """

    class State(models.TextChoices):
        OPEN = "OPEN"
        CLOSING = "CLOSING"
        CLOSED = "CLOSED"
        EXERCISED = "EXERCISED"
        EXPIRED = "EXPIRED"

    id = models.BigIntegerField(primary_key=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    option = models.ForeignKey(Option, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    contracts = models.IntegerField()
    remaining = models.IntegerField()
    unpaid = models.IntegerField(default=0)
    cost = models.DecimalField(max_digits=20, decimal_places=6)
    proceeds = models.DecimalField(max_digits=20, decimal_places=6, default=Decimal(0))
    state = FSMField(default=State.OPEN, choices=State, protected=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(remaining__gte=0, remaining__lte=models.F("contracts")),
                name="position_remaining_in_range",
            ),
            models.CheckConstraint(condition=models.Q(unpaid__gte=0), name="position_unpaid_not_negative"),
        ]
        indexes = [
            models.Index(fields=["customer", "-id"], name="position_customer"),
            models.Index(fields=["option"], name="position_open", condition=models.Q(state="OPEN")),
            # What a customer holds, however many positions are behind them: see `living`.
            models.Index(
                fields=["customer", "option", "-id"],
                name="position_living",
                condition=models.Q(state__in=["OPEN", "CLOSING"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.remaining}/{self.contracts} of option {self.option_id}"

    @transition(field=state, source=State.OPEN, target=State.CLOSING)
    def begin_closing(self) -> None:
        """Nothing is left, but a payout still waits for its fill."""

    @transition(field=state, source=[State.OPEN, State.CLOSING], target=State.CLOSED)
    def close(self) -> None:
        """Nothing is left and everything is paid."""

    @transition(field=state, source=State.OPEN, target=State.EXERCISED)
    def exercise(self) -> None:
        """Expired in the money."""

    @transition(field=state, source=State.OPEN, target=State.EXPIRED)
    def expire(self) -> None:
        """Expired out of the money."""
