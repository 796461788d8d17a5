"""What an audit says: one result for each invariant, and the report of them all. Pure data."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from settlement.reconciliation.findings import FINDINGS_LISTED, Finding, Findings, Result

__all__ = ["FINDINGS_LISTED", "Finding", "Findings", "Report", "Result"]


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
