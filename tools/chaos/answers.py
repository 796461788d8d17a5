"""How available counter was to its customers, whose requests failed for a known reason or without one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tools.load.heard import Answered, SentRequest


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which requests may fail for a known reason."""

    cause: str
    began: float
    ended: float

    def touches(self, asked: SentRequest) -> bool:
        """Whether the request was under way in it."""
        return asked.began < self.ended and asked.ended > self.began


@dataclass(frozen=True, slots=True)
class Availability:
    """Shares of requests that were answered otherwise than by a 5xx, in time; None of none.

    `share` counts all that were not under way in an outage, `overall` counts all; `apart` has, by cause, the requests
    of the outages, how many of them failed, and how. Every failure is counted somewhere: by status and code, or by how
    the connection ended. `spans` has, for each kind of failure outside of outages, from when to when requests failed
    so, in seconds after the first request.
    """

    share: float | None
    overall: float | None
    requests: int
    failed: dict[str, int]
    spans: dict[str, list[tuple[int, int]]]
    apart: dict[str, dict[str, Any]]
    examples: list[str]


EXAMPLES = 5
# Failures that are no further apart are one span.
SPAN_GAP_SECONDS = 2


def availability(asked: Sequence[SentRequest], outages: Sequence[Outage]) -> Availability:
    """What share of requests was answered, and what befell the others."""
    counted: list[SentRequest] = []
    apart: dict[str, list[SentRequest]] = {}
    for each in asked:
        cause = next((outage.cause for outage in outages if outage.touches(each)), None)
        (counted if cause is None else apart.setdefault(cause, [])).append(each)
    failures = [each for each in counted if each.answered is not Answered.YES]
    return Availability(
        share=_share(counted),
        overall=_share(asked),
        requests=len(counted),
        failed=_by_failure(counted),
        spans=_spans(failures, since=min((each.began for each in asked), default=0.0)),
        apart={
            cause: {
                "requests": len(those),
                "failed": sum(each.answered is not Answered.YES for each in those),
                "kinds": _by_failure(those),
            }
            for cause, those in sorted(apart.items())
        },
        examples=[f"{each.answered}: {each.detail}" for each in failures[:EXAMPLES]],
    )


def _by_failure(asked: Sequence[SentRequest]) -> dict[str, int]:
    """The commonest first."""
    return dict(Counter(each.failure for each in asked if each.answered is not Answered.YES).most_common())


def _spans(failures: Sequence[SentRequest], *, since: float) -> dict[str, list[tuple[int, int]]]:
    spans: dict[str, list[tuple[int, int]]] = {}
    for each in sorted(failures, key=lambda failure: failure.ended):
        second = int(each.ended - since)
        of_kind = spans.setdefault(each.failure, [])
        if of_kind and second - of_kind[-1][1] <= SPAN_GAP_SECONDS:
            of_kind[-1] = of_kind[-1][0], second
        else:
            of_kind.append((second, second))
    return spans


def _share(asked: Sequence[SentRequest]) -> float | None:
    if not asked:
        return None
    return sum(each.answered is Answered.YES for each in asked) / len(asked)
