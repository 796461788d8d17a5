"""The error table: what a venue said, whether it means done, not done or unknown, and what follows. Pure data.

The first rule that fits decides: a rule with a code before one without. What no rule names may have executed, so it
is unknown.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

MISSES_TO_BE_SURE = 3
# Three times what the venue lets a request be under way (`RECEIVE_WINDOW_MS` of the adapter): after that nothing
# can arrive any more, and reads have had twice as long to catch up.
MISSED_AFTER_SECONDS = 30.0
RETRY_LIMIT = 20  # tries, then its orders are given back to be netted anew
TOP_UP_LIMIT = 8  # tries, then a person has to find the funds
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
JITTER_RATE = 0.25


class Outcome(StrEnum):
    """Whether the venue has done what was asked."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class Follow(StrEnum):
    """What follows an outcome that is not done."""

    RETRY = "retry"  # send again when due
    ASK = "ask"  # look our id up, send nothing
    TOP_UP = "top_up"  # ask for funds, then send again
    HUMAN = "human"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table. `code` blank fits every code of the kind."""

    kind: str
    code: str
    outcome: Outcome
    follow: Follow
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of one answer."""

    outcome: Outcome
    follow: Follow
    why: str


_NOT, _UNKNOWN = Outcome.NOT_DONE, Outcome.UNKNOWN

# Kinds are ccxt's exception classes, and our own: ServerError (any status from 500 on, whatever its code says),
# NotConnected and BadAnswer.
TABLE: tuple[Rule, ...] = (
    Rule("ServerError", "", _UNKNOWN, Follow.ASK, "a 5xx says nothing about the order"),
    Rule("InsufficientFunds", "", _NOT, Follow.TOP_UP, "the trading wallet holds too little"),
    Rule("InvalidOrder", "-2010", _UNKNOWN, Follow.ASK, "a duplicate client id: the first one may live"),
    Rule("InvalidOrder", "", _NOT, Follow.HUMAN, "a filter of the market refused it"),
    Rule("BadRequest", "", _NOT, Follow.HUMAN, "the request itself is wrong"),
    Rule("BadSymbol", "", _NOT, Follow.HUMAN, "the market is gone"),
    Rule("PermissionDenied", "", _NOT, Follow.HUMAN, "the key may not do this"),
    Rule("AuthenticationError", "", _NOT, Follow.HUMAN, "the key or its signature was refused"),
    Rule("InvalidNonce", "", _NOT, Follow.RETRY, "the clocks differ too much"),
    Rule("DDoSProtection", "", _NOT, Follow.RETRY, "too many requests"),
    Rule("RateLimitExceeded", "", _NOT, Follow.RETRY, "too many requests"),
    Rule("OnMaintenance", "", _NOT, Follow.RETRY, "the venue is closed for maintenance"),
    Rule("NotConnected", "", _NOT, Follow.RETRY, "no connection was made, so nothing was sent"),
    Rule("BadAnswer", "", _UNKNOWN, Follow.ASK, "an answer that cannot be read"),
    Rule("RequestTimeout", "", _UNKNOWN, Follow.ASK, "no answer in time"),
    Rule("NetworkError", "", _UNKNOWN, Follow.ASK, "the connection broke"),
    Rule("ExchangeNotAvailable", "", _UNKNOWN, Follow.ASK, "the venue is not there, or says so"),
    Rule("OperationFailed", "", _UNKNOWN, Follow.ASK, "the venue itself does not know"),
)
_BY_KIND_AND_CODE = {(rule.kind, rule.code): rule for rule in TABLE}
_UNLISTED = Verdict(Outcome.UNKNOWN, Follow.ASK, "an unlisted answer may have executed")


def judge(*, kind: str, code: str) -> Verdict:
    """What an answer of this kind and code means."""
    rule = _BY_KIND_AND_CODE.get((kind, code)) or _BY_KIND_AND_CODE.get((kind, ""))
    return Verdict(rule.outcome, rule.follow, rule.why) if rule else _UNLISTED


def pause_seconds(attempts: int, *, asked_for: float | None = None) -> float:
    """Pause before the next try after `attempts` of them: never less than the venue `asked_for`, and never in step
    with others who failed at the same time."""
    backoff = BACKOFF_SECONDS[min(max(attempts, 1), len(BACKOFF_SECONDS)) - 1]
    return max(backoff, asked_for or 0.0) * (1 + JITTER_RATE * random.random())
