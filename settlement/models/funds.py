"""Funds transfers between the trading (spot) and the reserve (funding) wallet at the venue."""

from datetime import datetime

from django.db import models
from django_fsm import FSMField, transition

from infra.db.lifecycles import Lifecycle


class FundsTransfer(Lifecycle):
    """One movement between the two wallets. Venues take no client id for it: an unknown one is found in their history.

    One that was certainly not done is released, not sent again: the next is worked out from the balances of then.
    """

    class State(models.TextChoices):
        PLANNED = "PLANNED"
        SUBMITTED = "SUBMITTED"
        UNKNOWN = "UNKNOWN"
        CONFIRMED = "CONFIRMED"
        MANUAL = "MANUAL"
        RELEASED = "RELEASED"
        WRITTEN_OFF = "WRITTEN_OFF"

    class Direction(models.TextChoices):
        TO_TRADING = "to_trading"
        TO_RESERVE = "to_reserve"

    asset = models.CharField(max_length=64)
    direction = models.CharField(max_length=12, choices=Direction)
    amount = models.DecimalField(max_digits=28, decimal_places=8)
    state = FSMField(default=State.PLANNED, choices=State, max_length=12, protected=True)
    version = models.IntegerField(default=0)
    venue_transfer_id = models.CharField(max_length=64, null=True, unique=True)
    attempts = models.IntegerField(default=0)
    misses = models.IntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    planned_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)

    OPEN_STATES = (State.PLANNED, State.SUBMITTED, State.UNKNOWN, State.MANUAL)

    class Meta:
        permissions = [("ask_venue_fundstransfer", "Can have the venue asked about a funds transfer at once")]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="funds_transfer_amount_positive"),
            # Without a client id two like transfers in flight could not be told apart in the venue's history.
            models.UniqueConstraint(
                fields=["asset"],
                condition=models.Q(state__in=["PLANNED", "SUBMITTED", "UNKNOWN", "MANUAL"]),
                name="funds_transfer_one_open_by_asset",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.asset} {self.direction}"

    @transition(field=state, source=State.PLANNED, target=State.SUBMITTED)
    def submit(self, *, at: datetime) -> None:
        """The transfer is about to be sent."""
        self.submitted_at = at
        self.attempts += 1

    @transition(field=state, source=State.SUBMITTED, target=State.UNKNOWN)
    def lose_sight(self, *, why: str, due_at: datetime) -> None:
        """The venue may or may not have done it; only its history, asked from `due_at` on, can tell."""
        self.reason, self.due_at = why, due_at

    @transition(field=state, source=[State.SUBMITTED, State.UNKNOWN, State.MANUAL], target=State.CONFIRMED)
    def confirm(self, *, venue_transfer_id: str, at: datetime) -> None:
        """The venue has done it; its leg is in the book."""
        self.venue_transfer_id, self.confirmed_at = venue_transfer_id, at
        self.due_at = None

    @transition(field=state, source=[State.SUBMITTED, State.UNKNOWN], target=State.MANUAL)
    def hand_over(self, *, why: str) -> None:
        """A person has to decide."""
        self.reason, self.due_at = why, None

    @transition(field=state, source=[State.SUBMITTED, State.UNKNOWN, State.MANUAL], target=State.RELEASED)
    def release(self, *, why: str) -> None:
        """It was certainly never done: by the venue's answer, by its history, or as a person has shown."""
        self.reason, self.due_at = why, None

    @transition(field=state, source=State.MANUAL, target=State.WRITTEN_OFF)
    def write_off(self, *, why: str) -> None:
        """It left the one wallet and never came to the other; what is missing lies in suspense."""
        self.reason, self.due_at = why, None

    @transition(field=state, source=State.MANUAL, target=State.UNKNOWN)
    def hand_back(self, *, why: str, due_at: datetime) -> None:
        """The venue's history is looked through once more; only that leads on from there."""
        self.reason, self.due_at = why, due_at
        self.misses = 0
