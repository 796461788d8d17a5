"""What people decide of a withdrawal that the wallet service does not end, and what the wallet says of it too late."""

from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from counter.models.cash import Withdrawal
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

APPROVE = "counter.approve_withdrawaldecision"


class WithdrawalDecision(Decision):
    """What one person asks to be done about a withdrawal and another approves, with what shows that it is so.

    A trigger keeps what was asked for: it is decided once, and nothing but the decision changes.
    """

    class Step(models.TextChoices):
        CONFIRM = "confirm", "It was paid"
        RELEASE = "release", "It was not paid"
        TAKE_BACK = "take_back", "It was paid after all: take it from the customer again"
        GIVE_BACK = "give_back", "It was not paid after all: give it back to the customer"
        EXPLAIN = "explain", "The wallet's late word is explained: book nothing"

    class State(models.TextChoices):
        REQUESTED = "REQUESTED"
        APPLIED = "APPLIED"
        REJECTED = "REJECTED"
        VOID = "VOID"

    withdrawal = models.ForeignKey(Withdrawal, on_delete=models.PROTECT)
    step = models.CharField(max_length=9, choices=Step)
    evidence = models.CharField(max_length=200)  # a reference: of the payment, the bank's answer, a ticket
    reason = models.TextField()
    state = FSMField(default=State.REQUESTED, choices=State, max_length=12, protected=True)

    class Meta:
        permissions = [
            ("end_withdrawal", "Can request that a withdrawal is ended without the wallet service"),
            ("approve_withdrawaldecision", "Can approve and reject the end of a withdrawal"),
        ]
        constraints = [
            maker_is_not_checker("withdrawal_decision_maker_is_not_checker", approved=Q(state="APPLIED")),
            decided_by_somebody("withdrawal_decision_decided_by_somebody"),
            says_why("withdrawal_decision_says_why"),
            models.UniqueConstraint(
                fields=["withdrawal"], condition=Q(state="REQUESTED"), name="withdrawal_decision_one_waiting"
            ),
            # A withdrawal is ended, and its late word answered, once.
            models.UniqueConstraint(
                fields=["withdrawal"],
                condition=Q(state="APPLIED", step__in=["confirm", "release"]),
                name="withdrawal_decision_ends_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.withdrawal_id}"

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.APPLIED,
        conditions=[is_signed_by_another],
        permission=APPROVE,
    )
    def apply(self) -> None:
        """Somebody else has approved it, and it was done in the same transaction."""

    @transition(
        field=state,
        source=State.REQUESTED,
        target=State.REJECTED,
        conditions=[is_signed],
        permission=may_reject(APPROVE),
    )
    def reject(self) -> None:
        """Somebody else has said no, or the requester has withdrawn it."""

    @transition(field=state, source=State.REQUESTED, target=State.VOID, conditions=[is_signed])
    def void(self) -> None:
        """The wallet came first."""


class LateWord(Lifecycle):
    """The wallet service says of a withdrawal that people ended what these did not say: money is paid twice or never.

    It books nothing: two people answer it, once.
    """

    class State(models.TextChoices):
        OPEN = "OPEN"
        ANSWERED = "ANSWERED"

    withdrawal = models.OneToOneField(Withdrawal, on_delete=models.PROTECT)
    said = models.CharField(max_length=9, choices=Withdrawal.State)
    heard_at = models.DateTimeField()
    state = FSMField(default=State.OPEN, choices=State, max_length=12, protected=True)
    answer = models.OneToOneField(WithdrawalDecision, null=True, on_delete=models.PROTECT)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="OPEN", answer__isnull=True) | Q(state="ANSWERED", answer__isnull=False),
                name="late_word_answered_by_something",
            )
        ]
        indexes = [
            models.Index(fields=["heard_at"], name="late_word_open", condition=Q(state="OPEN")),
        ]

    def __str__(self) -> str:
        return f"the wallet: {self.said}"

    @transition(field=state, source=State.OPEN, target=State.ANSWERED)
    def end(self, *, answer: WithdrawalDecision) -> None:
        """Two people have said what became of the money."""
        self.answer = answer
