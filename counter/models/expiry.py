"""The end of options: what becomes of one coin's series at one moment, at which index, and by whose word."""

from datetime import datetime
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from counter.models.options import Option
from infra.db.decisions import (
    Decision,
    decided_by_somebody,
    is_signed,
    is_signed_by_another,
    maker_is_not_checker,
    may_reject,
    says_why,
)
from infra.db.lifecycles import Lifecycle

APPROVE = "counter.approve_indexentry"


class Expiry(Lifecycle):
    """All options of one coin that expire at one moment, and how far their positions are.

    `why` says what the record of the index lacks: a person has to enter the index then. The figures count positions,
    and USDT that was paid at once.
    """

    class State(models.TextChoices):
        WAITING = "WAITING"
        EXERCISING = "EXERCISING"
        SETTLED = "SETTLED"

    underlying = models.CharField(max_length=8)
    expires_at = models.DateTimeField()
    state = FSMField(default=State.WAITING, choices=State, max_length=12, protected=True)
    why = models.TextField(blank=True)
    exercised = models.IntegerField(default=0)
    worthless = models.IntegerField(default=0)
    left_to_fill = models.IntegerField(default=0)  # exercised, and paid what the venue pays for their coin
    paid_at_once = models.DecimalField(max_digits=20, decimal_places=6, default=Decimal(0))
    taken_at = models.DateTimeField()
    indexed_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "expiries"
        constraints = [
            models.UniqueConstraint(fields=["underlying", "expires_at"], name="expiry_once"),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="expiry_unsettled", condition=~Q(state="SETTLED")),
        ]

    def __str__(self) -> str:
        return f"{self.underlying} {self.expires_at:%Y-%m-%d %H:%M}"

    @transition(field=state, source=State.WAITING, target=State.EXERCISING)
    def begin_exercising(self, *, at: datetime) -> None:
        """The settlement index is known."""
        self.indexed_at = at

    @transition(field=state, source=[State.WAITING, State.EXERCISING], target=State.SETTLED)
    def settle(self, *, at: datetime) -> None:
        """No position is open and no order unsettled. Without positions no index is needed."""
        self.settled_at = at


class SettlementIndex(models.Model):
    """What settles the options of one coin that expire at one moment: USDT for one coin. Append-only.

    An average says what it was made of; an entry of people leads to who they were and why.
    """

    underlying = models.CharField(max_length=8)
    expires_at = models.DateTimeField()
    price = models.DecimalField(max_digits=20, decimal_places=8)
    entry = models.OneToOneField("IndexEntry", null=True, on_delete=models.PROTECT)
    samples = models.IntegerField()
    minutes = models.IntegerField()  # of the 30 before the expiry, those with a sample
    largest_gap_seconds = models.DecimalField(max_digits=9, decimal_places=3)
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "settlement indexes"
        constraints = [
            models.UniqueConstraint(fields=["underlying", "expires_at"], name="settlement_index_once"),
            models.CheckConstraint(condition=Q(price__gt=0), name="settlement_index_positive"),
            models.CheckConstraint(
                condition=Q(entry__isnull=False) | Q(samples__gt=0), name="settlement_index_of_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.underlying} {self.price} at {self.expires_at:%Y-%m-%d %H:%M}"


class IndexEntry(Decision):
    """A settlement index that one person asks for and another approves, where the record has a gap.

    A trigger keeps what was asked for: it is decided once, and nothing but the decision changes.
    """

    class State(models.TextChoices):
        REQUESTED = "REQUESTED"
        APPLIED = "APPLIED"
        REJECTED = "REJECTED"

    expiry = models.ForeignKey(Expiry, on_delete=models.PROTECT)
    price = models.DecimalField(max_digits=20, decimal_places=8)
    reason = models.TextField()
    evidence = models.TextField()
    state = FSMField(default=State.REQUESTED, choices=State, max_length=12, protected=True)

    class Meta:
        verbose_name_plural = "index entries"
        permissions = [
            ("enter_index", "Can request a settlement index where the record has a gap"),
            ("approve_indexentry", "Can approve and reject a settlement index that somebody else requested"),
        ]
        constraints = [
            maker_is_not_checker("index_entry_maker_is_not_checker", approved=Q(state="APPLIED")),
            decided_by_somebody("index_entry_decided_by_somebody"),
            says_why("index_entry_says_why"),
            models.CheckConstraint(condition=Q(price__gt=0), name="index_entry_positive"),
            models.UniqueConstraint(
                fields=["expiry"], condition=Q(state="REQUESTED"), name="index_entry_one_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.price} for {self.expiry}"

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.APPLIED,
        conditions=[is_signed_by_another],
        permission=APPROVE,
    )
    def apply(self) -> None:
        """Somebody else has approved it: it is the settlement index."""

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.REJECTED,
        conditions=[is_signed],
        permission=may_reject(APPROVE),
    )
    def reject(self) -> None:
        """Somebody else has said no, or the requester has withdrawn it."""


class OptionChange(models.Model):
    """Who moved an option from which state to which, when and why. Append-only."""

    option = models.ForeignKey(Option, on_delete=models.PROTECT, db_constraint=False)
    from_state = models.CharField(max_length=8)
    to_state = models.CharField(max_length=8)
    why = models.TextField(blank=True)
    at = models.DateTimeField()
    by = models.CharField(max_length=150)

    def __str__(self) -> str:
        return f"option {self.option_id}: {self.from_state} -> {self.to_state}"
