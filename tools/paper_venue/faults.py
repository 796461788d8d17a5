"""Faults that can be switched on while the venue runs, each with its own probability, seed and reach.

A fault only disturbs how a request is carried out or answered, never the books: what was executed is in the
journal, what was not has left no trace.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from tools.paper_venue.prices.quotes import Quote
from tools.paper_venue.symbols import SYMBOLS


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
    WICK = "wick"  # the book is elsewhere, by `percent`
    WIDE_BOOK = "wide_book"  # one side is far away, by `percent`
    CROSSED_BOOK = "crossed_book"  # the bid is above the ask, by `percent`
    ONE_SIDED_BOOK = "one_sided_book"  # nobody bids, or nobody asks
    FROZEN_BOOK = "frozen_book"  # the book stays as it was when it was first struck
    MANY_TRADES = "many_trades"  # what an order takes of a level comes in so many trades
    BAN = "ban"  # 418 with Retry-After until it ends, nothing executed
    FIREWALL = "firewall"  # 403 in HTML, nothing executed
    REGION = "region"  # 451, nothing executed
    MARKET_CLOSED = "market_closed"  # orders are refused, which nothing shows beforehand
    SYMBOL_STATUS = "symbol_status"  # exchangeInfo shows another status than TRADING, orders are refused
    TRADING_DISABLED = "trading_disabled"  # the account shows that it may not trade, orders are refused
    FILTERS = "filters"  # other filters than those of before, shown and enforced
    STREAM_STALLED = "stream_stalled"  # a message is not sent; the connection stays
    STREAM_REPEATED = "stream_repeated"  # a message is followed by the one before it
    STREAM_REORDERED = "stream_reordered"  # a message is sent after the one that follows it
    STREAM_LATE = "stream_late"  # messages are sent late, in their order
    STREAM_CUT = "stream_cut"  # instead of a message its connections end


OF_BOOKS = frozenset(
    {
        FaultKind.THIN_BOOK,
        FaultKind.WICK,
        FaultKind.WIDE_BOOK,
        FaultKind.CROSSED_BOOK,
        FaultKind.ONE_SIDED_BOOK,
        FaultKind.FROZEN_BOOK,
    }
)
ONLY_OF_STREAMS = frozenset(
    {
        FaultKind.STREAM_STALLED,
        FaultKind.STREAM_REPEATED,
        FaultKind.STREAM_REORDERED,
        FaultKind.STREAM_LATE,
        FaultKind.STREAM_CUT,
    }
)
OF_REQUESTS = frozenset(FaultKind) - ONLY_OF_STREAMS
OF_STREAMS = OF_BOOKS | ONLY_OF_STREAMS


@dataclass(slots=True)
class Fault:
    """One fault and how often it struck.

    ``path`` is a regular expression for the beginning of the path, ``method`` an HTTP method; None is any. The first
    ``skip`` matching requests pass, then each is struck with ``probability`` until ``count`` were (None: no end).
    ``for_seconds`` after it was switched on it ends by itself (None: it does not). ``symbol`` is for those that concern
    markets: None is every one.
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
    trades: int = 1200
    percent: Decimal = Decimal(-90)
    side: str = "bid"
    symbol: str | None = None
    frozen: dict[str, Quote] = field(default_factory=dict, repr=False)
    for_seconds: int | None = None
    status_text: str = "BREAK"
    step: Decimal | None = None
    tick: Decimal | None = None
    min_notional: Decimal | None = None
    began_at_ms: int = 0
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
        hidden = ("random", "frozen")
        described = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in hidden}
        amounts = {name: str(described[name]) for name in AMOUNTS if described[name] is not None}
        return {**described, **amounts}

    def has_ended(self, now_ms: int) -> bool:
        return self.for_seconds is not None and now_ms >= self.began_at_ms + self.for_seconds * 1000

    def seconds_left(self, now_ms: int) -> int:
        """Of one that ends by itself, rounded up; else what Retry-After is set to."""
        if self.for_seconds is None:
            return self.retry_after_seconds
        return max(1, -((now_ms - self.began_at_ms - self.for_seconds * 1000) // 1000))


class Faults:
    """The faults that are switched on, in the order they were."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)

    def add(self, description: Mapping[str, Any], *, now_ms: int = 0) -> Fault:
        """Raises: FaultInvalid."""
        fault = read_fault(description, fault_id=next(self._ids))
        fault.began_at_ms = now_ms
        self._faults[fault.fault_id] = fault
        return fault

    def remove(self, fault_id: int) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def all(self) -> list[Fault]:
        return list(self._faults.values())

    def strike(
        self, *, method: str, path: str, now_ms: int = 0, kinds: Collection[FaultKind] = OF_REQUESTS
    ) -> dict[FaultKind, Fault]:
        """The faults that strike this request, or this message of a stream, at most one of each of the kinds."""
        if not self._faults:
            return {}
        self._faults = {key: fault for key, fault in self._faults.items() if not fault.has_ended(now_ms)}
        struck: dict[FaultKind, Fault] = {}
        for fault in self._faults.values():
            if fault.kind not in kinds or fault.kind in struck:
                continue
            if fault.strikes(method=method, path=path):
                struck[fault.kind] = fault
        return struck

    def is_on(self, kind: FaultKind) -> bool:
        return any(fault.kind is kind for fault in self._faults.values())


NUMBERS = ("seed", "skip", "delay_ms", "jitter_ms", "retry_after_seconds", "lag_ms", "trades")
OPTIONAL_NUMBERS = ("count", "status", "code", "for_seconds")
TEXTS = ("path", "method", "message", "symbol", "status_text")
AMOUNTS = ("factor", "percent", "step", "tick", "min_notional")
SIDES = ("bid", "ask")


def read_fault(description: Mapping[str, Any], *, fault_id: int) -> Fault:
    """Raises: FaultInvalid."""
    known = {"kind", "probability", "side", *AMOUNTS, *NUMBERS, *OPTIONAL_NUMBERS, *TEXTS}
    if unknown := description.keys() - known:
        raise FaultInvalid(f"unknown: {', '.join(sorted(unknown))}")
    try:
        fault = Fault(fault_id=fault_id, kind=FaultKind(description["kind"]))
        for name in description.keys() & {*NUMBERS, *OPTIONAL_NUMBERS}:
            setattr(fault, name, _number(name, description[name]))
        for name in description.keys() & set(TEXTS):
            setattr(fault, name, None if description[name] is None else str(description[name]))
        fault.probability = float(description.get("probability", 1))
        for name in description.keys() & set(AMOUNTS):
            setattr(fault, name, Decimal(str(description[name])))
        fault.side = str(description.get("side", fault.side))
        re.compile(fault.path or "")
    except (KeyError, TypeError, ValueError, InvalidOperation, re.error) as error:
        raise FaultInvalid(str(error)) from error
    if not 0 <= fault.probability <= 1 or not 0 < fault.factor <= 1:
        raise FaultInvalid("probability goes from 0 to 1, factor from above 0 to 1")
    if not -100 < fault.percent <= 10_000 or fault.side not in SIDES:
        raise FaultInvalid("percent goes from above -100 to 10000, side is bid or ask")
    if fault.symbol is not None and fault.symbol not in SYMBOLS:
        raise FaultInvalid(f"symbol is one of {', '.join(SYMBOLS)}")
    if any(amount is not None and not amount > 0 for amount in (fault.step, fault.tick, fault.min_notional)):
        raise FaultInvalid("filters are above zero")
    fault.random.seed(fault.seed)
    return fault


def _number(name: str, value: Any) -> int | None:
    if value is None and name in OPTIONAL_NUMBERS:
        return None
    number = int(value)
    if number < 0 and name != "code":
        raise FaultInvalid(f"{name} is below zero")
    return number
