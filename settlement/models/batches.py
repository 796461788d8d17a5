"""Many interventions of one kind that two people decide at once, and how far they have been carried out."""

from datetime import datetime

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
from settlement.models.history import Subject
from settlement.models.interventions import APPROVE, Intervention


class Batch(Decision):
    """One request about many rows of one kind, listed in `BatchRow`. A trigger keeps what was asked for."""

    class State(models.TextChoices):
        REQUESTED = "REQUESTED"
        RUNNING = "RUNNING"
        DONE = "DONE"
        REJECTED = "REJECTED"

    kind = models.CharField(max_length=16, choices=Intervention.Kind)
    subject = models.CharField(max_length=16, choices=Subject)
    size = models.IntegerField()
    reason = models.TextField()
    evidence = models.TextField()
    state = FSMField(default=State.REQUESTED, choices=State, max_length=12, protected=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["REQUESTED", "REJECTED"]) | ~Q(decided_by_id=F("requested_by_id")),
                name="batch_maker_is_not_checker",
            ),
            decided_by_somebody("batch_decided_by_somebody"),
            says_why("batch_says_why"),
        ]
        indexes = [
            models.Index(fields=["id"], name="batch_open", condition=Q(state__in=["REQUESTED", "RUNNING"]))
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display().lower()} {self.size} of {self.get_subject_display().lower()}"

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.RUNNING,
        conditions=[is_signed_by_another],
        permission=APPROVE,
    )
    def run(self) -> None:
        """Somebody else has approved it: its rows are carried out one after the other."""

    @transition(field=state, source=State.RUNNING, target=State.DONE)
    def end(self, *, at: datetime) -> None:
        """Every row was done or refused."""
        self.done_at = at

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.REJECTED,
        conditions=[is_signed],
        permission=may_reject(APPROVE),
    )
    def reject(self) -> None:
        """Somebody else has said no, or the requester has withdrawn it."""


class BatchRow(models.Model):
    """One row of a batch as it was seen when it was asked for, and what came of it: an intervention, or a refusal."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, db_index=False)
    subject_id = models.BigIntegerField()
    subject_state = models.CharField(max_length=12)
    subject_version = models.IntegerField()
    ended_at = models.DateTimeField(null=True)  # null: it waits for its turn
    intervention = models.OneToOneField(Intervention, null=True, on_delete=models.PROTECT)  # null: refused
    refusal = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "subject_id"], name="batch_row_once")]
        indexes = [
            models.Index(fields=["batch", "id"], name="batch_row_waiting", condition=Q(ended_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.subject_id}: {self.refusal or self.intervention_id or 'waits'}"
