"""What the customers heard: every request with its answer and its time, and the outcome of each order.

Invariant: an order has an outcome only when counter said one; no answer and a 5xx say none.
"""

import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Answered(StrEnum):
    """How a request ended."""

    YES = "answered"
    SERVER_ERROR = "5xx"
    TIMED_OUT = "time-out"
    CONNECTION_LOST = "connection lost"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when it was sent and when it ended, by the monotonic clock."""

    began: float
    ended: float
    answered: Answered
    detail: str = ""  # of a failure


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which requests may fail for a known reason."""

    cause: str
    began: float
    ended: float

    def touches(self, asked: Asked) -> bool:
        """Whether the request was under way in it."""
        return asked.began < self.ended and asked.ended > self.began


@dataclass(slots=True)
class Heard:
    """Everything that was heard; written by many threads."""

    asked: list[Asked] = field(default_factory=list)
    accepted: dict[str, int] = field(default_factory=dict)  # client order id -> order id
    refused: Counter[str] = field(default_factory=Counter)  # by code
    without_outcome: set[str] = field(default_factory=set)
    contradicted: list[str] = field(default_factory=list)  # answered with two different orders
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, asked: Asked) -> None:
        """One request has ended."""
        with self._lock:
            self.asked.append(asked)

    def sent(self, client_order_ids: Collection[str]) -> None:
        """Orders are under way."""
        with self._lock:
            self.without_outcome.update(client_order_ids)

    def accept(self, client_order_id: str, order_id: int) -> None:
        """Counter has said that the order is placed."""
        with self._lock:
            self.without_outcome.discard(client_order_id)
            if self.accepted.setdefault(client_order_id, order_id) != order_id:
                self.contradicted.append(client_order_id)

    def refuse(self, client_order_id: str, code: str) -> None:
        """Counter has said that the order is not placed."""
        with self._lock:
            self.without_outcome.discard(client_order_id)
            self.refused[code] += 1


@dataclass(frozen=True, slots=True)
class Availability:
    """Shares of requests that were answered otherwise than by a 5xx, in time; None of none.

    `share` counts all that were not under way in an outage, `overall` counts all; `apart` has, by cause, the requests
    of the outages and how many of them failed.
    """

    share: float | None
    overall: float | None
    requests: int
    failed: dict[str, int]
    apart: dict[str, dict[str, int]]
    examples: list[str]


EXAMPLES = 5


def availability(asked: Sequence[Asked], outages: Sequence[Outage]) -> Availability:
    """What share of requests was answered, and what befell the others."""
    counted: list[Asked] = []
    apart: dict[str, list[Asked]] = {}
    for each in asked:
        cause = next((outage.cause for outage in outages if outage.touches(each)), None)
        (counted if cause is None else apart.setdefault(cause, [])).append(each)
    failures = [each for each in counted if each.answered is not Answered.YES]
    return Availability(
        share=_share(counted),
        overall=_share(asked),
        requests=len(counted),
        failed=dict(Counter(str(each.answered) for each in failures)),
        apart={
            cause: {
                "requests": len(those),
                "failed": sum(each.answered is not Answered.YES for each in those),
            }
            for cause, those in sorted(apart.items())
        },
        examples=[f"{each.answered}: {each.detail}" for each in failures[:EXAMPLES]],
    )


def _share(asked: Sequence[Asked]) -> float | None:
    if not asked:
        return None
    return sum(each.answered is Answered.YES for each in asked) / len(asked)
