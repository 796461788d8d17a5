"""Payments between counter and the desk for what the one owes the other."""

from datetime import datetime
from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django_fsm import FSMField, transition

from infra.db.decisions import (
    Decision,
    decided_by_somebody,
    is_signed,
    is_signed_by_another,
    may_reject,
    says_why,
)

APPROVE = "settlement.approve_clearingpayment"


class ClearingPayment(Decision):
    """One person says what was paid, with the reference of the payment; another approves; counter books it, then we.

    `reference` and id are what both systems know it by: counter answers each pair once, so telling it again is
    harmless, and books a reference once. A trigger keeps what was asked for.
    """

    class State(models.TextChoices):
        REQUESTED = "REQUESTED"
        APPROVED = "APPROVED"
        BOOKED = "BOOKED"
        REFUSED = "REFUSED"
        REJECTED = "REJECTED"

    class Direction(models.TextChoices):
        TO_DESK = "to_desk", "counter pays the desk"
        TO_COUNTER = "to_counter", "the desk pays counter"

    asset = models.CharField(max_length=64)
    direction = models.CharField(max_length=10, choices=Direction)
    amount = models.DecimalField(max_digits=20, decimal_places=6)
    reference = models.CharField(max_length=64)
    reason = models.TextField()
    state = FSMField(default=State.REQUESTED, choices=State, max_length=12, protected=True)
    version = models.IntegerField(default=0)
    answer = models.TextField(blank=True)  # what counter said last, unless it booked it
    booked_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [
            ("pay_clearing", "Can request that a payment between counter and the desk is booked"),
            ("approve_clearingpayment", "Can approve and reject a payment that somebody else requested"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="clearing_payment_positive"),
            models.CheckConstraint(
                condition=Q(state__in=["REQUESTED", "REJECTED"]) | ~Q(decided_by_id=F("requested_by_id")),
                name="clearing_payment_maker_is_not_checker",
            ),
            decided_by_somebody("clearing_payment_decided_by_somebody"),
            says_why("clearing_payment_says_why", by="reference"),
            models.CheckConstraint(
                condition=Q(state="BOOKED", booked_at__isnull=False)
                | (~Q(state="BOOKED") & Q(booked_at__isnull=True)),
                name="clearing_payment_booked_at",
            ),
            models.UniqueConstraint(
                fields=["reference"],
                condition=Q(state__in=["REQUESTED", "APPROVED", "BOOKED"]),
                name="clearing_payment_reference_once",
            ),
            # Two that are open at once could both be paid out of the same debt.
            models.UniqueConstraint(
                fields=["asset"],
                condition=Q(state__in=["REQUESTED", "APPROVED"]),
                name="clearing_payment_one_open_by_asset",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_direction_display()} {self.amount} {self.asset}: {self.reference}"

    @property
    def signed(self) -> Decimal:
        """By how much it lowers what counter owes the desk."""
        return self.amount if self.direction == self.Direction.TO_DESK else -self.amount

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.APPROVED,
        conditions=[is_signed_by_another],
        permission=APPROVE,
    )
    def approve(self) -> None:
        """Another person has approved it: counter is told until it answers."""

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.REJECTED,
        conditions=[is_signed],
        permission=may_reject(APPROVE),
    )
    def reject(self) -> None:
        """Another person has said no, or the one who asked has withdrawn it."""

    @transition(field=state, source=State.APPROVED, target=State.BOOKED)
    def book(self, *, at: datetime) -> None:
        """Counter has booked it, and its leg is in the desk's book."""
        self.booked_at, self.answer = at, ""

    @transition(field=state, source=State.APPROVED, target=State.REFUSED)
    def refuse(self, *, why: str) -> None:
        """Counter has refused it for good: neither side has booked it. Its reference may be stated again."""
        self.answer = why
