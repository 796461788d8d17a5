"""What a run with one fault came to: from the driver's record, the engine's own commits, and the proof."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

ANSWERED_WITHIN_SECONDS = 2.0


def is_ok_at_first(heard: dict[str, Any]) -> bool:
    """Whether the first try was answered well, and in time."""
    took, told = heard["tries"][0]
    return told == "201" and took <= ANSWERED_WITHIN_SECONDS


def is_ok_in_time(heard: dict[str, Any]) -> bool:
    """Whether any try was, counted from when the order was due."""
    took, told = heard["tries"][-1]
    return told == "201" and took <= ANSWERED_WITHIN_SECONDS


def measured(
    heard: list[dict[str, Any]],
    *,
    per_s: float,
    gaps: Sequence[tuple[float, float]] = (),
) -> dict[str, Any]:
    """Nothing is set apart. `gaps`: when no host took a commit, measured beside the load.

    An order that was due in a gap, or within the time for an answer before it, is the engine's; the other failures are
    what Crossbook adds.
    """
    failed = [each for each in heard if not is_ok_at_first(each)]
    late = [each for each in heard if not is_ok_in_time(each)]
    until = max((each["due"] for each in failed), default=None)
    span = None if until is None else round(until + 1 / per_s - min(each["due"] for each in failed), 1)
    ours = [
        each
        for each in failed
        if not any(begun - ANSWERED_WITHIN_SECONDS <= each["due"] <= ended for begun, ended in gaps)
    ]
    return {
        "requests": len(heard),
        "failed_at_first": len(failed),
        "failed_with_retry": len(late),
        "outage_s": round(len(failed) / per_s, 1),
        "span_s": span or 0.0,
        "failed_while_writable": len(ours),
        "failed_while_writable_s": round(len(ours) / per_s, 1),
        "gaps_s": [round(ended - begun, 1) for begun, ended in gaps],
        "answers": dict(Counter(each["tries"][0][1] for each in failed)),
        "slowest_answer_s": max((each["tries"][0][0] for each in heard), default=0.0),
        "outcomes": dict(Counter(each["outcome"] for each in heard)),
    }


def is_whole(proof: dict[str, Any]) -> bool:
    """Whether nothing was lost, doubled, placed after a refusal, or is broken."""
    wrong = ("lost", "not at the desk", "doubled", "placed after a final refusal")
    if any(proof[name] for name in wrong) or proof.get("trouble"):
        return False
    return proof["settled"] and not proof["audit"]["broken"]
