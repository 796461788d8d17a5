"""Faults that can be switched on while the venue runs, each with its own probability, seed and reach.

A fault only disturbs how a request is carried out or answered, never the books: whatever was executed is in the
journal, whatever was not has left no trace.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any


class FaultInvalid(Exception):
    """The description of a fault makes no sense."""


class FaultKind(StrEnum):
    LATENCY = "latency"  # wait before execution
    REPLY_DELAY = "reply_delay"  # execute, then wait before the answer
    REQUEST_LOST = "request_lost"  # close the connection, nothing executed
    REPLY_LOST = "reply_lost"  # execute, then close the connection
    ERROR_BEFORE = "error_before"  # an HTTP error, nothing executed
    ERROR_AFTER = "error_after"  # execute, then an HTTP error
    EMPTY_BODY = "empty_body"  # execute, then 200 without a body
    EMPTY_OBJECT = "empty_object"  # execute, then 200 with {}
    CUT_BODY = "cut_body"  # execute, then 200 with the first half of the body
    RATE_LIMIT = "rate_limit"  # 429 (or 418) with Retry-After, nothing executed
    MAINTENANCE = "maintenance"  # 503, and system/status tells of it
    STALE_READS = "stale_reads"  # orders, trades and balances are seen late
    PENDING_TRANSFERS = "pending_transfers"  # the history of transfers shows them as not done yet
    THIN_BOOK = "thin_book"  # the book offers a fraction of its depth


@dataclass(slots=True)
class Fault:
    """One fault and how often it struck.

    ``path`` is a regular expression for the beginning of the path, ``method`` an HTTP method; None is any. The first
    ``skip`` matching requests pass, then each is struck with ``probability`` until ``count`` were (None: no end).
    """

    fault_id: int
    kind: FaultKind
    probability: float = 1.0
    seed: int = 1
    path: str | None = None
    method: str | None = None
    count: int | None = None
    skip: int = 0
    delay_ms: int = 0
    jitter_ms: int = 0
    status: int | None = None
    code: int | None = None
    message: str | None = None
    retry_after_seconds: int = 1
    lag_ms: int = 0
    factor: Decimal = Decimal("0.01")
    struck: int = 0
    seen: int = 0
    random: random.Random = field(default_factory=random.Random, repr=False)

    def strikes(self, *, method: str, path: str) -> bool:
        """Decide whether this request is struck, and remember it."""
        if not self.reaches(method=method, path=path) or (
            self.count is not None and self.struck >= self.count
        ):
            return False
        self.seen += 1
        if self.seen <= self.skip or self.random.random() >= self.probability:
            return False
        self.struck += 1
        return True

    def reaches(self, *, method: str, path: str) -> bool:
        return (self.method is None or self.method == method) and (
            self.path is None or re.match(self.path, path) is not None
        )

    def delay_seconds(self) -> float:
        return (self.delay_ms + self.random.random() * self.jitter_ms) / 1000

    def described(self) -> dict[str, Any]:
        described = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "random"}
        return {**described, "factor": str(self.factor)}


class Faults:
    """The faults that are switched on, in the order they were."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)

    def add(self, description: Mapping[str, Any]) -> Fault:
        """Raises: FaultInvalid."""
        fault = read_fault(description, fault_id=next(self._ids))
        self._faults[fault.fault_id] = fault
        return fault

    def remove(self, fault_id: int) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def all(self) -> list[Fault]:
        return list(self._faults.values())

    def strike(self, *, method: str, path: str) -> dict[FaultKind, Fault]:
        """The faults that strike this request, at most one of each kind."""
        if not self._faults:
            return {}
        struck: dict[FaultKind, Fault] = {}
        for fault in self._faults.values():
            if fault.kind not in struck and fault.strikes(method=method, path=path):
                struck[fault.kind] = fault
        return struck

    def is_on(self, kind: FaultKind) -> bool:
        return any(fault.kind is kind for fault in self._faults.values())


NUMBERS = ("seed", "skip", "delay_ms", "jitter_ms", "retry_after_seconds", "lag_ms")
OPTIONAL_NUMBERS = ("count", "status", "code")
TEXTS = ("path", "method", "message")


def read_fault(description: Mapping[str, Any], *, fault_id: int) -> Fault:
    """Raises: FaultInvalid."""
    known = {"kind", "probability", "factor", *NUMBERS, *OPTIONAL_NUMBERS, *TEXTS}
    if unknown := description.keys() - known:
        raise FaultInvalid(f"unknown: {', '.join(sorted(unknown))}")
    try:
        fault = Fault(fault_id=fault_id, kind=FaultKind(description["kind"]))
        for name in description.keys() & {*NUMBERS, *OPTIONAL_NUMBERS}:
            setattr(fault, name, _number(name, description[name]))
        for name in description.keys() & set(TEXTS):
            setattr(fault, name, None if description[name] is None else str(description[name]))
        fault.probability = float(description.get("probability", 1))
        fault.factor = Decimal(str(description.get("factor", fault.factor)))
        re.compile(fault.path or "")
    except (KeyError, TypeError, ValueError, InvalidOperation, re.error) as error:
        raise FaultInvalid(str(error)) from error
    if not 0 <= fault.probability <= 1 or not 0 < fault.factor <= 1:
        raise FaultInvalid("probability goes from 0 to 1, factor from above 0 to 1")
    fault.random.seed(fault.seed)
    return fault


def _number(name: str, value: Any) -> int | None:
    if value is None and name in OPTIONAL_NUMBERS:
        return None
    number = int(value)
    if number < 0 and name != "code":
        raise FaultInvalid(f"{name} is below zero")
    return number
