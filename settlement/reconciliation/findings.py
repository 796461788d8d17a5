"""What a comparison says: findings, and one result for each thing that is compared. Pure data.

Invariant: totals are exact however many findings there are; only the lists are cut, to FINDINGS_LISTED.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

FINDINGS_LISTED = 50

State = Literal["ok", "broken", "in_flight", "unchecked"]


@dataclass(frozen=True, slots=True)
class Trace:
    """What a finding leads back to. `amount` of `asset` is what the other side has above the book, since when.

    `effect` is what the book's accounts would have to get to agree: (code, asset, amount), debits positive.
    """

    asset: str = ""
    amount: Decimal | None = None
    conversion_id: int | None = None
    order_id: int | None = None
    symbol: str = ""
    venue_trade_id: str = ""
    venue_transfer_id: str = ""
    account: str = ""
    since: datetime | None = None
    effect: tuple[tuple[str, str, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is broken or in flight: `what` names the rule, `where` the row, `detail` the figures."""

    what: str
    where: str
    detail: str
    age_s: float | None = None
    trace: Trace | None = None

    def as_dict(self) -> dict[str, Any]:
        """For machines; only what is in flight has an age."""
        entry: dict[str, Any] = {"what": self.what, "where": self.where, "detail": self.detail}
        if self.age_s is not None:
            entry["age_s"] = round(self.age_s, 3)
        return entry


@dataclass(slots=True)
class Findings:
    """A list of findings that stays short and a total that stays exact."""

    listed: list[Finding] = field(default_factory=list)
    total: int = 0

    def add(self, finding: Finding) -> None:
        """Count one finding, and list it while there is room."""
        self.extend([finding], total=1)

    def extend(self, findings: Iterable[Finding], *, total: int) -> None:
        """Count `total` findings of which at least the first FINDINGS_LISTED are given."""
        self.total += total
        self.listed += list(findings)[: FINDINGS_LISTED - len(self.listed)]

    def extend_from(self, rows: Sequence[Sequence[Any]], finding: Callable[..., Finding]) -> None:
        """Make a finding of each row of a query whose last column is how many rows there are without its LIMIT."""
        self.extend((finding(*row[:-1]) for row in rows), total=rows[0][-1] if rows else 0)

    def also_in(self, earlier: "Findings") -> "Findings":
        """Those that were found earlier too. Where a list was cut nobody can tell: then all of these count."""
        if self.total > len(self.listed) or earlier.total > len(earlier.listed):
            return self
        known = {(finding.what, finding.where) for finding in earlier.listed}
        kept = [finding for finding in self.listed if (finding.what, finding.where) in known]
        return Findings(kept, len(kept))


@dataclass(slots=True)
class Result:
    """What was found about one invariant; `unchecked` is the reason why a part of it could not be checked.

    `notes` are no findings: what a reader has to know of how far it was checked.
    """

    number: int
    name: str
    checked: int = 0
    broken: Findings = field(default_factory=Findings)
    in_flight: Findings = field(default_factory=Findings)
    unchecked: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def state(self) -> State:
        """The worst that applies."""
        if self.broken.total:
            return "broken"
        if self.unchecked:
            return "unchecked"
        return "in_flight" if self.in_flight.total else "ok"

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "number": self.number,
            "name": self.name,
            "state": self.state,
            "checked": self.checked,
            "broken": [finding.as_dict() for finding in self.broken.listed],
            "broken_total": self.broken.total,
            "in_flight": [finding.as_dict() for finding in self.in_flight.listed],
            "in_flight_total": self.in_flight.total,
            "unchecked": self.unchecked,
            "notes": self.notes,
        }
