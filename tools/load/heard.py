"""What customers heard: every request with its answer and its time, and the outcome of each order.

Invariant: an order has an outcome only when counter said one; no answer and a 5xx say none.
"""

import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum


class Answered(StrEnum):
    """How a request ended."""

    YES = "answered"
    SERVER_ERROR = "5xx"
    TIMED_OUT = "time-out"
    CONNECTION_LOST = "connection lost"


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request: when it was sent and when it ended, by the monotonic clock."""

    began: float
    ended: float
    answered: Answered
    detail: str = ""  # of a failure
    code: str = ""  # of a 5xx: its status, and the stable code in its body

    @property
    def failure(self) -> str:
        """How it failed, as failures are counted."""
        return self.code or str(self.answered)


@dataclass(slots=True)
class Heard:
    """Everything that was heard; written by many threads."""

    asked: list[SentRequest] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)  # client order id -> order id, as it was told
    refused: Counter[str] = field(default_factory=Counter)  # by code
    without_outcome: set[str] = field(default_factory=set)
    contradicted: list[str] = field(default_factory=list)  # answered with two different orders
    outcome_seconds: list[float] = field(
        default_factory=list
    )  # of each request, from its first try to its outcome
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, asked: SentRequest) -> None:
        """One request has ended."""
        with self._lock:
            self.asked.append(asked)

    def sent(self, client_order_ids: Collection[str]) -> None:
        """Orders are under way."""
        with self._lock:
            self.without_outcome.update(client_order_ids)

    def conclude(self, seconds: float) -> None:
        """All orders of one request have their outcome."""
        with self._lock:
            self.outcome_seconds.append(seconds)

    def accept(self, client_order_id: str, order_id: str) -> None:
        """Counter has said that the order is placed."""
        with self._lock:
            self.without_outcome.discard(client_order_id)
            if self.accepted.setdefault(client_order_id, order_id) != order_id:
                self.contradicted.append(client_order_id)

    def refuse(self, client_order_id: str, code: str, *, customer: str = "") -> None:
        """Counter has said that the order of the customer, by their token, is not placed."""
        with self._lock:
            self.without_outcome.discard(client_order_id)
            self.refused[code] += 1
