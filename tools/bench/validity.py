"""Whether a measurement says anything: one in which orders were refused or left unanswered measured something else."""

from dataclasses import dataclass
from typing import Any

from tools.bench.load.job import Outcome

MOST_FAILED_SHARE = 0.01
# Of closes whose opens were answered 503.
FOLLOWS_FROM_503 = "position_not_found"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What came of one load; `fault` says why no figure may be taken from it, None if one may."""

    what: str
    outcome: Outcome
    fault: str | None

    def figures(self) -> dict[str, Any]:
        """For the report."""
        outcome = self.outcome
        return {
            "what": self.what,
            "offered": outcome.offered,
            "accepted": outcome.accepted,
            "unavailable": outcome.unavailable,
            "refused": outcome.refused,
            "unanswered": outcome.unanswered,
            "refused_by_code": outcome.refused_by_code,
            "fault": self.fault,
        }


def judged(what: str, outcome: Outcome, *, may_be_overloaded: bool, may_be_refused: bool = False) -> Judged:
    """Hold an outcome against the bound; answers 503 count unless more was offered than can be taken.

    Where a coin may be halted, as in a crash, refusals are part of what is measured.
    """
    fault = _fault(outcome, may_be_overloaded=may_be_overloaded, may_be_refused=may_be_refused)
    return Judged(what=what, outcome=outcome, fault=fault)


def _fault(outcome: Outcome, *, may_be_overloaded: bool, may_be_refused: bool) -> str | None:
    if not outcome.offered:
        return "no order was offered"
    if not outcome.accepted or not outcome.orders_per_s:
        return f"no order was accepted{_codes(outcome)}"
    failed = outcome.refused + outcome.unanswered
    if may_be_overloaded:
        failed -= outcome.refused_by_code.get(FOLLOWS_FROM_503, 0)
    else:
        failed += outcome.unavailable
    if may_be_refused:
        failed = outcome.unanswered
    if failed > MOST_FAILED_SHARE * outcome.offered:
        return (
            f"{failed:,} of {outcome.offered:,} orders were refused or unanswered, "
            f"more than {MOST_FAILED_SHARE:.0%}{_codes(outcome)}"
        )
    return None


def _codes(outcome: Outcome) -> str:
    told = [f"{code} {count:,}" for code, count in outcome.refused_by_code.items()]
    if outcome.unanswered:
        told.append(f"unanswered {outcome.unanswered:,}")
    return f" ({', '.join(told)})" if told else ""
