"""What an audit says: findings, one result for each invariant, and the report of them all. Pure data.

Invariant: totals are exact however many findings there are; only the lists are cut, to FINDINGS_LISTED.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

FINDINGS_LISTED = 50

State = Literal["ok", "broken", "in_flight", "unchecked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is broken or in flight: `what` names the rule, `where` the row, `detail` the figures."""

    what: str
    where: str
    detail: str
    age_s: float | None = None

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
    """What was found about one invariant; `unchecked` is the reason why a part of it could not be checked."""

    number: int
    name: str
    checked: int = 0
    broken: Findings = field(default_factory=Findings)
    in_flight: Findings = field(default_factory=Findings)
    unchecked: str = ""

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
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one audit, in the order of the invariants."""

    at: datetime
    seconds: float
    results: tuple[Result, ...]

    @property
    def broken(self) -> int:
        """How many findings are broken."""
        return sum(result.broken.total for result in self.results)

    @property
    def in_flight(self) -> int:
        """How many things are in flight. Invariants see the same order each in its way: the fullest view counts."""
        return max((result.in_flight.total for result in self.results), default=0)

    @property
    def unchecked(self) -> list[int]:
        """Numbers of the invariants that could not be checked whole."""
        return [result.number for result in self.results if result.unchecked]

    def result(self, number: int) -> Result:
        """The result of one invariant."""
        return next(result for result in self.results if result.number == number)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "at": self.at.isoformat(),
            "seconds": round(self.seconds, 3),
            "invariants": [result.as_dict() for result in self.results],
            "broken": self.broken,
            "in_flight": self.in_flight,
            "unchecked": self.unchecked,
        }
