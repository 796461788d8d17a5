"""What people decided about a conversion, a funds transfer or a conflict that the desk could not finish by itself."""

from typing import Any

from django.db import models
from django.db.models import F, Q
from django_fsm import FSMField, transition

from infra.db.decisions import Decision, decided_by_somebody, is_signed, is_signed_by_another, may_reject
from settlement.models.history import Subject

APPROVE = "settlement.approve_intervention"


def is_signed_by_enough(made: Any) -> bool:
    """A condition of what is done: by another person, unless it is for one alone."""
    return is_signed(made) and (made.kind in Intervention.ALONE or is_signed_by_another(made))


class Intervention(Decision):
    """One decision, bound to the state and version of the row that it is about, with its reason and evidence.

    A trigger keeps what was asked for: it is decided once, and nothing but the decision changes.
    """

    class Kind(models.TextChoices):
        RETRY = "retry"
        TAKE_OVER = "take_over"
        BOOK_BY_HAND = "book_by_hand"
        RELEASE = "release"
        WRITE_OFF = "write_off"
        BOOK_CAPITAL = "book_capital"
        BOOK_CASH = "book_cash"
        MARK_FOUND = "mark_found"
        KEEP_OURS = "keep_ours"
        TAKE_THEIRS = "take_theirs"
        DISOWN = "disown"
        ACCEPT = "accept"
        END_HOLD = "end_hold"

    class State(models.TextChoices):
        REQUESTED = "REQUESTED"
        APPLIED = "APPLIED"
        REJECTED = "REJECTED"
        VOID = "VOID"

    # What one person may do: it books nothing, and lets nothing be sent that the venue's own word does not allow.
    ALONE = (Kind.RETRY, Kind.TAKE_OVER, Kind.KEEP_OURS)

    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.CharField(max_length=16, choices=Subject)
    subject_id = models.BigIntegerField()
    subject_state = models.CharField(max_length=12)
    subject_version = models.IntegerField()
    terms = models.JSONField(default=dict)  # amounts as decimal text
    reason = models.TextField()
    evidence = models.TextField(blank=True)
    state = FSMField(default=State.REQUESTED, choices=State, max_length=12, protected=True)
    version = models.IntegerField(default=0)

    class Meta:
        permissions = [
            ("retry_conversion", "Can have a conversion in a person's hands asked for and converted anew"),
            ("take_over_conversion", "Can take a conversion out of the machine's hands"),
            ("book_by_hand_conversion", "Can request that a conversion is booked by hand"),
            ("release_conversion", "Can request that the orders of a conversion are released"),
            ("write_off_conversion", "Can request that a conversion is written off to suspense"),
            ("retry_fundstransfer", "Can have a funds transfer in a person's hands looked for again"),
            ("take_over_fundstransfer", "Can take a funds transfer out of the machine's hands"),
            ("mark_found_fundstransfer", "Can request that a funds transfer is booked as found"),
            ("release_fundstransfer", "Can request that a funds transfer counts as never done"),
            ("write_off_fundstransfer", "Can request that a funds transfer is written off to suspense"),
            ("keep_ours_conflict", "Can resolve a conflict by keeping what the desk holds"),
            ("take_theirs_conflict", "Can request that an order that was kept aside is taken in"),
            ("disown_acceptedorder", "Can request that an order which counter never placed is disowned"),
            ("retry_reconciliationbreak", "Can have an order that the desk lacks taken in from counter"),
            (
                "accept_reconciliationbreak",
                "Can request that a fill and its trade are accepted as they differ",
            ),
            ("end_hold_venuehalt", "Can request that a restored desk goes on without what cannot be proven"),
            ("approve_intervention", "Can approve and reject what somebody else requested"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["REQUESTED", "VOID"])
                | Q(kind__in=["retry", "take_over", "keep_ours"])
                | ~Q(decided_by_id=F("requested_by_id")),
                name="intervention_maker_is_not_checker",
            ),
            decided_by_somebody("intervention_decided_by_somebody"),
            models.CheckConstraint(
                condition=~Q(reason="") & (Q(kind__in=["retry", "take_over", "keep_ours"]) | ~Q(evidence="")),
                name="intervention_says_why",
            ),
            models.UniqueConstraint(
                fields=["subject", "subject_id"],
                condition=Q(state="REQUESTED"),
                name="intervention_one_waiting",
            ),
        ]
        indexes = [models.Index(fields=["subject", "subject_id", "id"], name="intervention_subject")]

    def __str__(self) -> str:
        return f"{self.get_kind_display().lower()} {self.subject} {self.subject_id}"

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.APPLIED,
        conditions=[is_signed_by_enough],
        permission=APPROVE,
    )
    def apply(self) -> None:
        """It was approved, where that is needed, and done in the same transaction."""

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.REJECTED,
        conditions=[is_signed],
        permission=may_reject(APPROVE),
    )
    def reject(self) -> None:
        """Somebody else has said no."""

    @transition(field=state, source=State.REQUESTED, target=State.VOID, conditions=[is_signed])
    def void(self) -> None:
        """The row has moved since, or the requester has withdrawn it."""
