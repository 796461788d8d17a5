"""What one person asks for and another decides: who it was, when, and with which words."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q

from infra.db.lifecycles import Lifecycle

REQUESTED = "REQUESTED"  # the state in which each of them begins


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks or decides: the user's id, and the name for people to read."""

    id: int
    name: str


class Decision(Lifecycle):
    """A request with its decision. Users may be deleted, or live in another database: ids tell them apart, names are
    what they were called then.
    """

    requested_by_id = models.BigIntegerField()
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    decided_by_id = models.BigIntegerField(null=True)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True)
    decision = models.TextField(blank=True)

    SIGNED = ("decided_by_id", "decided_by", "decided_at", "decision")

    class Meta:
        abstract = True

    def sign(self, by: Person, note: str, *, at: datetime) -> None:
        """Put down who decides it; the transition that follows reads it. Saves nothing."""
        self.decided_by_id, self.decided_by, self.decided_at = by.id, by.name, at
        self.decision = note


def decided_by_somebody(name: str) -> models.CheckConstraint:
    """The constraint `name`: who decided, and when, is there once it is no request any more, and not before."""
    undecided = Q(state=REQUESTED, decided_at__isnull=True, decided_by_id__isnull=True, decided_by="")
    somebody = Q(decided_at__isnull=False, decided_by_id__isnull=False) & ~Q(decided_by="")
    return models.CheckConstraint(condition=undecided | (~Q(state=REQUESTED) & somebody), name=name)


def says_why(name: str, *, by: str = "evidence") -> models.CheckConstraint:
    """The constraint `name`: there is a reason, and in the field `by` what shows it."""
    return models.CheckConstraint(condition=~Q(reason="") & ~Q(**{by: ""}), name=name)


def maker_is_not_checker(name: str, *, approved: Q) -> models.CheckConstraint:
    """The constraint `name`: what is `approved` was decided by somebody other than the one who asked."""
    return models.CheckConstraint(condition=~approved | ~Q(decided_by_id=F("requested_by_id")), name=name)


def is_signed(made: Any) -> bool:
    """A condition of every transition that ends a request."""
    return bool(made.decided_by_id is not None)


def is_signed_by_another(made: Any) -> bool:
    """A condition of what two people have to want."""
    return bool(made.decided_by_id not in (None, made.requested_by_id))


def may_reject(approve: str) -> Callable[[Any, Any], bool]:
    """Who may say no: an approver, and the one who asked, who withdraws it."""

    def permitted(made: Any, user: Any) -> bool:
        return bool(user.has_perm(approve)) or user.pk == made.requested_by_id

    return permitted
