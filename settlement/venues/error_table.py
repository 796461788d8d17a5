"""The error table: what a venue said, whether it means done, not done or unknown, and what follows. Pure data.

The rule that names most decides: venue, kind and code, then venue and code, then the kind alone. An answer that no
rule names is unknown if it may have executed, else a person's. No rule can make a no of a kind that may have executed.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MISSES_TO_BE_SURE = 3
# Three times what the venue lets a request be under way (`RECEIVE_WINDOW_MS` of the adapter): after that nothing
# can arrive any more, and reads have had twice as long to catch up.
MISSED_AFTER_SECONDS = 30.0
AT_ONCE_LIMIT = 1  # tries that are followed by another without a pause
RETRY_LIMIT = 20  # tries, then its orders are given back to be netted anew
TOP_UP_LIMIT = 8  # tries, then a person has to find the funds
HALT_LIMIT = 5  # tries that halted the venue, then a person has to see to it
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
# Before a halted venue is asked whether it answers again. What it asks for in Retry-After comes first, and beyond that
# one question a minute angers nobody, while each minute is one in which nothing is hedged.
HALT_SECONDS = (10.0, 15.0, 30.0, 45.0, 60.0)
FAILURES_TO_HALT = 10  # calls in a row without an answer
JITTER_RATE = 0.25
REFUSING = range(400, 500)  # HTTP statuses that with a code of the venue say no
NOT_REFUSING = (408, 409)  # but for the time-out, and what was done in part


class Outcome(StrEnum):
    """Whether the venue has done what was asked."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class Follow(StrEnum):
    """What follows an outcome that is not done."""

    RETRY_AT_ONCE = "retry_at_once"  # send again without a pause, the first time
    RETRY_LATER = "retry_later"  # send again when due
    ASK = "ask"  # look our id up, send nothing
    TOP_UP = "top_up"  # ask for funds, then send again
    HALT = "halt"  # send the venue nothing more until it answers; what was not done is sent again then
    HUMAN = "human"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table: blank `venue`, `kind` or `code` fits any."""

    venue: str
    kind: str
    code: str
    outcome: Outcome
    follow: Follow
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What was heard: `kind` and `code` as in VenueError, `status` of HTTP (None: nothing came, or nobody noted it).

    `to_question` tells an answer to a question, which says nothing of whether the thing asked about was done.
    """

    venue: str
    kind: str
    code: str
    status: int | None = None
    to_question: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the table says of one answer."""

    outcome: Outcome
    follow: Follow
    why: str


class TableInvalid(ValueError):
    """An error table that contradicts itself or would take for undone what may have been done."""


_NOT, _UNKNOWN = Outcome.NOT_DONE, Outcome.UNKNOWN
_ASK, _TOP_UP, _HALT, _HUMAN = Follow.ASK, Follow.TOP_UP, Follow.HALT, Follow.HUMAN
_AT_ONCE, _LATER = Follow.RETRY_AT_ONCE, Follow.RETRY_LATER

# Kinds are ccxt's exception classes, and our own: ServerError (any status from 500 on, whatever its code says), Banned
# (418), NotConnected and BadAnswer.
OWN_KINDS = frozenset({"ServerError", "Banned", "NotConnected", "BadAnswer"})
MAY_HAVE_EXECUTED = frozenset(
    {
        *("ServerError", "BadAnswer", "BadResponse", "NullResponse", "RequestTimeout", "NetworkError"),
        *("ExchangeNotAvailable", "OperationFailed"),
    }
)
NO_ANSWER = MAY_HAVE_EXECUTED | {"NotConnected"}
# Every venue.
_KINDS = (
    Rule("", "ServerError", "", _UNKNOWN, _ASK, "a 5xx says nothing about the order"),
    Rule("", "BadAnswer", "", _UNKNOWN, _ASK, "an answer that cannot be read"),
    Rule("", "BadResponse", "", _UNKNOWN, _ASK, "an answer that cannot be read"),
    Rule("", "NullResponse", "", _UNKNOWN, _ASK, "an answer that cannot be read"),
    Rule("", "RequestTimeout", "", _UNKNOWN, _ASK, "no answer in time"),
    Rule("", "NetworkError", "", _UNKNOWN, _ASK, "the connection broke"),
    Rule("", "ExchangeNotAvailable", "", _UNKNOWN, _ASK, "the venue is not there, or says so"),
    Rule("", "OperationFailed", "", _UNKNOWN, _ASK, "the venue itself does not know"),
    Rule("", "OrderNotFound", "", _UNKNOWN, _ASK, "no such order: alone, that proves nothing"),
    Rule("", "InsufficientFunds", "", _NOT, _TOP_UP, "the trading wallet holds too little"),
    Rule("", "InvalidOrder", "", _NOT, _HUMAN, "a filter of the market refused it"),
    Rule("", "BadRequest", "", _NOT, _HUMAN, "the request itself is wrong"),
    Rule("", "BadSymbol", "", _NOT, _HUMAN, "the market is gone"),
    Rule("", "PermissionDenied", "", _NOT, _HUMAN, "the key may not do this"),
    Rule("", "AuthenticationError", "", _NOT, _HALT, "the key or its signature was refused"),
    Rule("", "AccountSuspended", "", _NOT, _HALT, "the account is suspended"),
    Rule(
        "", "InvalidNonce", "", _NOT, _AT_ONCE, "it came late, or the clocks differ: they are compared anew"
    ),
    Rule("", "DDoSProtection", "", _NOT, _LATER, "too many requests"),
    Rule("", "RateLimitExceeded", "", _NOT, _LATER, "too many requests"),
    Rule("", "Banned", "", _NOT, _HALT, "this address is banned for too many requests"),
    Rule("", "OnMaintenance", "", _NOT, _HALT, "the venue is closed for maintenance"),
    Rule("", "NotConnected", "", _NOT, _LATER, "no connection was made, so nothing was sent"),
)
# Binance Spot, developers.binance.com/docs/binance-spot-api-docs/errors: run against the paper venue.
_BINANCE = (
    Rule("binance", "InvalidOrder", "-2010", _UNKNOWN, _ASK, "a duplicate client id: the first one may live"),
    Rule("binance", "ServerError", "-1016", _UNKNOWN, _HALT, "the service is shut down"),
    Rule("binance", "", "-1016", _NOT, _HALT, "the service is shut down"),
    Rule("binance", "", "-2015", _NOT, _HALT, "key, address or permission was refused, or the key is banned"),
    Rule("binance", "", "-1006", _UNKNOWN, _ASK, "an unexpected answer inside the venue: execution unknown"),
    Rule("binance", "", "-1007", _UNKNOWN, _ASK, "no answer inside the venue in time: execution unknown"),
)
# OKX, www.okx.com/docs-v5/en/#error-code, and ccxt's map: never run.
_OKX = (
    Rule("okx", "", "50001", _UNKNOWN, _HALT, "the service is not available for the moment"),
    Rule("okx", "", "50004", _UNKNOWN, _ASK, "time-out of the endpoint: says neither success nor failure"),
    Rule("okx", "", "50005", _UNKNOWN, _HALT, "the API is off line"),
    Rule("okx", "", "50007", _NOT, _HALT, "the account is blocked"),
    Rule("okx", "", "50011", _NOT, _LATER, "requests too frequent"),
    Rule("okx", "", "50013", _UNKNOWN, _ASK, "the system is busy"),
    Rule("okx", "", "50026", _UNKNOWN, _ASK, "system error"),
    Rule("okx", "", "50061", _NOT, _LATER, "the account's order rate is used up"),
    Rule("okx", "", "50100", _NOT, _HALT, "the API is frozen for this account"),
    Rule("okx", "", "50102", _NOT, _AT_ONCE, "the timestamp has expired"),
    Rule("okx", "", "50110", _NOT, _HALT, "the address is not one of the key's"),
    Rule("okx", "", "50111", _NOT, _HALT, "the key was refused"),
    Rule("okx", "", "50113", _NOT, _HALT, "the signature was refused"),
    Rule("okx", "", "51001", _NOT, _HUMAN, "no such instrument"),
    Rule("okx", "", "51006", _NOT, _HUMAN, "the price is outside of the limits"),
    Rule("okx", "", "51008", _NOT, _TOP_UP, "the balance is too small"),
    Rule("okx", "", "51011", _UNKNOWN, _ASK, "a duplicate order id: the first one may live"),
    Rule("okx", "", "51016", _UNKNOWN, _ASK, "a duplicate client id: the first one may live"),
    Rule("okx", "", "51020", _NOT, _HUMAN, "less than the least amount"),
    Rule("okx", "", "51119", _NOT, _TOP_UP, "the balance is too small"),
    Rule("okx", "", "51121", _NOT, _HUMAN, "no multiple of the lot"),
    Rule("okx", "", "51127", _NOT, _TOP_UP, "the balance is zero"),
    Rule("okx", "", "51131", _NOT, _TOP_UP, "the balance is too small"),
    Rule("okx", "", "51149", _UNKNOWN, _ASK, "the order timed out"),
    Rule("okx", "", "51603", _UNKNOWN, _ASK, "no such order: alone, that proves nothing"),
    Rule("okx", "", "58102", _NOT, _LATER, "transfers too frequent"),
    Rule("okx", "", "58350", _NOT, _TOP_UP, "the balance is too small for the transfer"),
)
# Bybit, bybit-exchange.github.io/docs/v5/error, and ccxt's map: never run. It acknowledges before it executes.
_BYBIT = (
    Rule("bybit", "", "5004", _UNKNOWN, _ASK, "server time-out"),
    Rule("bybit", "", "10000", _UNKNOWN, _ASK, "server time-out"),
    Rule("bybit", "", "10002", _NOT, _AT_ONCE, "the timestamp is outside of the window"),
    Rule("bybit", "", "10003", _NOT, _HALT, "the key was refused"),
    Rule("bybit", "", "10004", _NOT, _HALT, "the signature was refused"),
    Rule("bybit", "", "10005", _NOT, _HALT, "the key has not this permission"),
    Rule("bybit", "", "10006", _NOT, _LATER, "requests too frequent"),
    Rule("bybit", "", "10007", _NOT, _HALT, "authentication failed"),
    Rule("bybit", "", "10008", _NOT, _HALT, "the account is banned"),
    Rule("bybit", "", "10009", _NOT, _HALT, "the address is banned"),
    Rule("bybit", "", "10010", _NOT, _HALT, "the address is not one of the key's"),
    Rule("bybit", "", "10014", _UNKNOWN, _ASK, "a duplicate request: the first one may live"),
    Rule("bybit", "", "10016", _UNKNOWN, _ASK, "server error"),
    Rule("bybit", "", "10018", _NOT, _LATER, "requests from this address too frequent"),
    Rule("bybit", "", "10019", _UNKNOWN, _HALT, "the service restarts"),
    Rule("bybit", "", "10027", _NOT, _HALT, "trading is banned"),
    Rule("bybit", "", "10429", _NOT, _LATER, "the whole system is protected from too many requests"),
    Rule("bybit", "", "110072", _UNKNOWN, _ASK, "a duplicate client id: the first one may live"),
    Rule("bybit", "", "131200", _UNKNOWN, _ASK, "service error of the transfer"),
    Rule("bybit", "", "131206", _UNKNOWN, _ASK, "the transfer failed, it does not say how"),
    Rule("bybit", "", "131212", _NOT, _TOP_UP, "the balance is too small for the transfer"),
    Rule("bybit", "", "131214", _UNKNOWN, _ASK, "a duplicate transfer id: the first one may have been done"),
    Rule("bybit", "", "170001", _UNKNOWN, _ASK, "internal error"),
    Rule("bybit", "", "170005", _NOT, _LATER, "too many new orders"),
    Rule("bybit", "", "170007", _UNKNOWN, _ASK, "no answer inside the venue in time"),
    Rule("bybit", "", "170032", _UNKNOWN, _ASK, "network error inside the venue"),
    Rule("bybit", "", "170131", _NOT, _TOP_UP, "the balance is too small"),
    Rule("bybit", "", "170136", _NOT, _HUMAN, "less than the least quantity"),
    Rule("bybit", "", "170140", _NOT, _HUMAN, "less than the least amount"),
    Rule("bybit", "", "170141", _UNKNOWN, _ASK, "a duplicate client id: the first one may live"),
    Rule("bybit", "", "170146", _UNKNOWN, _ASK, "time-out while the order was made"),
    Rule("bybit", "", "170149", _UNKNOWN, _ASK, "the order failed, it does not say how"),
    Rule("bybit", "", "170210", _UNKNOWN, _ASK, "the order was rejected, it does not say when"),
    Rule("bybit", "", "170213", _UNKNOWN, _ASK, "no such order: alone, that proves nothing"),
    Rule("bybit", "", "170222", _NOT, _LATER, "requests too frequent"),
    Rule("bybit", "", "170234", _UNKNOWN, _ASK, "system error"),
)
HUMAN_AFTER = {_TOP_UP: TOP_UP_LIMIT, _HALT: HALT_LIMIT}  # tries of one order that end so
_UNLISTED = Verdict(_UNKNOWN, _ASK, "an unlisted answer that may have executed")
_UNLISTED_REFUSAL = Verdict(_NOT, _HUMAN, "an unlisted refusal")


class Table:
    """Rules that have been checked. Raises: TableInvalid."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_key: dict[tuple[str, str, str], Rule] = {}
        for rule in self.rules:
            key = rule.venue, rule.kind, rule.code
            wrong = _what_is_wrong(rule) or ("it is there twice" if key in self._by_key else "")
            if wrong:
                raise TableInvalid(f"{' '.join(filter(None, key)) or 'a rule without a name'}: {wrong}")
            self._by_key[key] = rule

    def judge(self, answer: Answer) -> Verdict:
        """What an answer means."""
        verdict = self._of_request(answer)
        if not answer.to_question:
            return verdict
        return Verdict(_UNKNOWN, _HALT if verdict.follow is _HALT else _ASK, verdict.why)

    def _of_request(self, answer: Answer) -> Verdict:
        venue, kind, code = answer.venue, answer.kind, answer.code
        for key in ((venue, kind, code), (venue, "", code), ("", kind, "")):
            rule = self._by_key.get(key)
            if rule is not None and (rule.outcome is _UNKNOWN or kind not in MAY_HAVE_EXECUTED):
                return Verdict(rule.outcome, rule.follow, rule.why)
        is_refusal = answer.status in REFUSING and answer.status not in NOT_REFUSING and code != ""
        return _UNLISTED_REFUSAL if is_refusal and kind not in MAY_HAVE_EXECUTED else _UNLISTED


def _what_is_wrong(rule: Rule) -> str:
    if not rule.kind and not rule.code:
        return "it names neither a kind nor a code"
    if bool(rule.code) != bool(rule.venue):
        return "a code is a venue's own, and a venue's rule names its code"
    if rule.outcome is Outcome.DONE:
        return "no failure says that it was done"
    if rule.kind in MAY_HAVE_EXECUTED and rule.outcome is not _UNKNOWN:
        return f"{rule.kind} may have executed"
    if rule.outcome is _UNKNOWN and rule.follow not in (_ASK, _HALT):
        return "what is unknown is asked for, and nothing else"
    if rule.outcome is _NOT and rule.follow is _ASK:
        return "what was not done need not be asked for"
    return ""


TABLE = Table((*_KINDS, *_BINANCE, *_OKX, *_BYBIT))


def pause_seconds(
    attempts: int, *, asked_for: float | None = None, steps_seconds: tuple[float, ...] = BACKOFF_SECONDS
) -> float:
    """Pause before the next try after `attempts` of them: never less than the venue `asked_for`, and never in step
    with others who failed at the same time."""
    backoff = steps_seconds[min(max(attempts, 1), len(steps_seconds)) - 1]
    return max(backoff, asked_for or 0.0) * (1 + JITTER_RATE * random.random())


def retry_pause_seconds(follow: Follow, attempts: int, *, asked_for: float | None) -> float:
    """Pause before what was certainly not done is sent again, after `attempts` of it."""
    if follow is Follow.RETRY_AT_ONCE and attempts <= AT_ONCE_LIMIT and not asked_for:
        return 0.0
    return pause_seconds(attempts, asked_for=asked_for)
