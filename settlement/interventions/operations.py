"""Each operation as data: on what, in which states, with which permission, by how many people, and what does it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from acceptance.models import AcceptedOrder, Conflict
from settlement.interventions.terms import Terms
from settlement.models import Conversion, FundsTransfer, Intervention, ReconciliationBreak, VenueHalt
from settlement.models.history import Subject
from settlement.venues.protocol import Venue

Row = Conversion | FundsTransfer | Conflict | ReconciliationBreak | AcceptedOrder | VenueHalt
OPEN, RESOLVED, LIFTED = "OPEN", "RESOLVED", "LIFTED"  # conflicts and halts have no states of their own
SUBJECTS: dict[Subject, type[Row]] = {
    Subject.CONVERSION: Conversion,
    Subject.FUNDS_TRANSFER: FundsTransfer,
    Subject.CONFLICT: Conflict,
    Subject.BREAK: ReconciliationBreak,
    Subject.ORDER: AcceptedOrder,
    Subject.HALT: VenueHalt,
}


@dataclass(frozen=True, slots=True)
class Deed:
    """One operation as it is being done to one row, in a transaction that may be undone to show what it would do."""

    row: Any
    terms: Any
    intervention_id: int
    by: str
    why: str
    now: datetime


def _no_objection(row: Any, terms: Any, now: datetime) -> None:
    return None


def _nothing_to_ask(row: Any, terms: Any, venue: Venue, now: datetime) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that people may do about one kind of row.

    `check` and `ask` raise Refused: the first by what the desk knows, the second, outside of any transaction, by what
    the venue or counter says. `ask` returns its words.
    """

    kind: Intervention.Kind
    subject: Subject
    title: str
    does: str
    states: tuple[str, ...]
    apply: Callable[[Deed], None]
    terms: type[Terms] = Terms
    check: Callable[[Any, Any, datetime], None] = _no_objection
    ask: Callable[[Any, Any, Venue, datetime], str] = _nothing_to_ask

    @property
    def needs_two(self) -> bool:
        """Whether another person has to approve it."""
        return self.kind not in Intervention.ALONE

    @property
    def asks_venue(self) -> bool:
        """Whether the venue's word counts."""
        return self.ask is not _nothing_to_ask

    @property
    def permission(self) -> str:
        """What the requester needs."""
        return f"settlement.{self.kind}_{SUBJECTS[self.subject]._meta.model_name}"


def state_of(row: Row) -> tuple[str, int]:
    """State and version that a request is bound to."""
    if isinstance(row, Conflict):
        return (OPEN if row.resolved_at is None else RESOLVED), 0
    if isinstance(row, VenueHalt):
        return (OPEN if row.lifted_at is None else LIFTED), 0
    if isinstance(row, AcceptedOrder):
        return str(row.state), row.conversion_id or 0  # claimed again it is by another conversion
    return str(row.state), row.version
