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
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
# Before a halted venue is asked whether it answers again. What it asks for in Retry-After comes first, and beyond that
# one question a minute angers nobody, while each minute is one in which nothing is hedged.
HALT_SECONDS = (10.0, 15.0, 30.0, 45.0, 60.0)
FAILURES_TO_HALT = 10  # calls in a row without an answer
JITTER_RATE = 0.25
# What a venue asks for beyond this is no due time of a row: a halt, or the breaker of its host, sees to it.
LONGEST_PAUSE_SECONDS = 300.0
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
    REPLAN = (
        "replan"  # give the orders back and read the market's filters again, they are netted anew at once
    )
    HALT = "halt"  # give what was not done back, and send the scope nothing more until it takes orders again
    HUMAN = "human"


class Scope(StrEnum):
    """Whom a no concerns: this order alone, or every order of the symbol, of the account, or at the venue."""

    ORDER = "order"
    SYMBOL = "symbol"
    ACCOUNT = "account"
    VENUE = "venue"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table: blank `venue`, `kind` or `code` fits any; `message` is how the venue's own words begin."""

    venue: str
    kind: str
    code: str
    outcome: Outcome
    follow: Follow
    why: str
    scope: Scope = Scope.ORDER
    message: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was heard: `kind` and `code` as in VenueError, `status` of HTTP (None: nothing came, or nobody noted it).

    `to_question` tells an answer to a question, which says nothing of whether the thing asked about was done; `message`
    is what the venue said in words, where its code stands for several things.
    """

    venue: str
    kind: str
    code: str
    status: int | None = None
    to_question: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the table says of one answer."""

    outcome: Outcome
    follow: Follow
    why: str
    scope: Scope = Scope.ORDER


class TableInvalid(ValueError):
    """An error table that contradicts itself or would take for undone what may have been done."""


_NOT, _UNKNOWN = Outcome.NOT_DONE, Outcome.UNKNOWN
_ASK, _TOP_UP, _HALT, _HUMAN = Follow.ASK, Follow.TOP_UP, Follow.HALT, Follow.HUMAN
_AT_ONCE, _LATER, _REPLAN = Follow.RETRY_AT_ONCE, Follow.RETRY_LATER, Follow.REPLAN
_SYMBOL, _ACCOUNT, _VENUE = Scope.SYMBOL, Scope.ACCOUNT, Scope.VENUE

# Kinds are ccxt's exception classes, and our own: ServerError (any status from 500 on, with any code), Banned
# (418), Firewall (403, or a demand to log in, without a code of the venue), Region (451), HeldBack, NotConnected,
# DoesNotFit and BadAnswer. What a firewall or a region's gate says is not the venue's own word, so it proves nothing of
# the order that met it.
OWN_KINDS = frozenset(
    {
        *(
            "ServerError",
            "Banned",
            "Firewall",
            "Region",
            "HeldBack",
            "NotConnected",
            "BadAnswer",
            "DoesNotFit",
        ),
        "NoMinutes",
    }
)
MAY_HAVE_EXECUTED = frozenset(
    {
        *("ServerError", "BadAnswer", "BadResponse", "NullResponse", "RequestTimeout", "NetworkError"),
        *("ExchangeNotAvailable", "OperationFailed", "Firewall", "Region"),
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
    Rule("", "DoesNotFit", "", _NOT, _REPLAN, "not sent: the market's filters have changed", _SYMBOL),
    Rule("", "BadRequest", "", _NOT, _HUMAN, "the request itself is wrong"),
    Rule("", "BadSymbol", "", _NOT, _HALT, "the market is gone", _SYMBOL),
    Rule("", "MarketClosed", "", _NOT, _HALT, "the market is closed", _SYMBOL),
    Rule("", "PermissionDenied", "", _NOT, _HALT, "the key may not do this", _ACCOUNT),
    Rule("", "AuthenticationError", "", _NOT, _HALT, "the key or its signature was refused", _ACCOUNT),
    Rule("", "AccountSuspended", "", _NOT, _HALT, "the account is suspended", _ACCOUNT),
    Rule(
        "", "Firewall", "", _UNKNOWN, _HALT, "a firewall in front of the venue refused this address", _VENUE
    ),
    Rule("", "Region", "", _UNKNOWN, _HALT, "the venue does not serve this region", _VENUE),
    Rule(
        "", "InvalidNonce", "", _NOT, _AT_ONCE, "it came late, or the clocks differ: they are compared anew"
    ),
    Rule("", "DDoSProtection", "", _NOT, _LATER, "too many requests"),
    Rule("", "RateLimitExceeded", "", _NOT, _LATER, "too many requests"),
    Rule("", "Banned", "", _NOT, _HALT, "this address is banned for too many requests", _VENUE),
    Rule("", "OnMaintenance", "", _NOT, _HALT, "the venue is closed for maintenance", _VENUE),
    Rule("", "HeldBack", "", _NOT, _HALT, "nothing was sent: the venue has refused this address", _VENUE),
    Rule("", "NotConnected", "", _NOT, _LATER, "no connection was made, so nothing was sent"),
)
# Binance Spot, developers.binance.com/docs/binance-spot-api-docs/errors: run against the paper venue.
_BINANCE = (
    Rule("binance", "ServerError", "-1016", _UNKNOWN, _HALT, "the service is shut down", _VENUE),
    Rule("binance", "", "-1016", _NOT, _HALT, "the service is shut down", _VENUE),
    Rule("binance", "", "-1002", _NOT, _HALT, "the key is not authorized for this request", _ACCOUNT),
    Rule("binance", "", "-1013", _NOT, _REPLAN, "a filter of the market refused it", _SYMBOL),
    Rule("binance", "", "-1111", _NOT, _REPLAN, "more digits than the market takes", _SYMBOL),
    Rule("binance", "", "-1121", _NOT, _HALT, "no such symbol", _SYMBOL),
    Rule("binance", "", "-2010", _NOT, _HUMAN, "the order was rejected"),
    Rule(
        *("binance", "", "-2015", _NOT, _HALT),
        *("key, address or permission was refused, or the key is banned", _ACCOUNT),
    ),
    Rule("binance", "", "-1006", _UNKNOWN, _ASK, "an unexpected answer inside the venue: execution unknown"),
    Rule("binance", "", "-1007", _UNKNOWN, _ASK, "no answer inside the venue in time: execution unknown"),
)
# One code of Binance for many rejections, told apart by its words: "Messages for -1010 ERROR_MSG_RECEIVED, -2010
# NEW_ORDER_REJECTED, and -2011 CANCEL_REJECTED" on the same page. Words that are not here leave the code's own line.
# Capitals and spaces tell nothing apart.
_REJECTIONS = (
    ("Market is closed", _SYMBOL, "the market is closed"),
    ("This symbol is not permitted", _SYMBOL, "the symbol is not permitted for this account"),
    ("This symbol is restricted", _SYMBOL, "the symbol is restricted for this account"),
    ("Limit orders require GTC for this phase", _SYMBOL, "the market is in another phase"),
    ("This order type is not possible", _SYMBOL, "the market is in another phase"),
    ("This action is disabled on this account", _ACCOUNT, "trading is disabled on the account"),
    ("This account may not place or cancel", _ACCOUNT, "trading is disabled on the account"),
    ("Rest API trading is not enabled", _ACCOUNT, "trading by the API is not enabled"),
)
_REJECTING = ("-1010", "-1013", "-2010")
_TOO_LITTLE, _TWICE, _FILTER = "Account has insufficient balance", "Duplicate order sent", "Filter failure"
_BINANCE_WORDS = (
    *(
        rule
        for code in _REJECTING
        for rule in (
            Rule(
                "binance", "", code, _NOT, _TOP_UP, "the trading wallet holds too little", message=_TOO_LITTLE
            ),
            Rule(
                "binance", "", code, _UNKNOWN, _ASK, "a duplicate id: the first one may live", message=_TWICE
            ),
            Rule("binance", "", code, _NOT, _REPLAN, "a filter of the market refused it", _SYMBOL, _FILTER),
            *(Rule("binance", "", code, _NOT, _HALT, why, scope, words) for words, scope, why in _REJECTIONS),
        )
    ),
)
# OKX, www.okx.com/docs-v5/en/#error-code, and ccxt's map: never run.
_OKX = (
    Rule("okx", "", "50001", _UNKNOWN, _HALT, "the service is not available for the moment", _VENUE),
    Rule("okx", "", "50004", _UNKNOWN, _ASK, "time-out of the endpoint: says neither success nor failure"),
    Rule("okx", "", "50005", _UNKNOWN, _HALT, "the API is off line", _VENUE),
    Rule("okx", "", "50007", _NOT, _HALT, "the account is blocked", _ACCOUNT),
    Rule("okx", "", "50011", _NOT, _LATER, "requests too frequent"),
    Rule("okx", "", "50013", _UNKNOWN, _ASK, "the system is busy"),
    Rule("okx", "", "50026", _UNKNOWN, _ASK, "system error"),
    Rule("okx", "", "50061", _NOT, _LATER, "the account's order rate is used up"),
    Rule("okx", "", "50100", _NOT, _HALT, "the API is frozen for this account", _ACCOUNT),
    Rule("okx", "", "50102", _NOT, _AT_ONCE, "the timestamp has expired"),
    Rule("okx", "", "50110", _NOT, _HALT, "the address is not one of the key's", _ACCOUNT),
    Rule("okx", "", "50111", _NOT, _HALT, "the key was refused", _ACCOUNT),
    Rule("okx", "", "50113", _NOT, _HALT, "the signature was refused", _ACCOUNT),
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
    Rule("bybit", "", "10003", _NOT, _HALT, "the key was refused", _ACCOUNT),
    Rule("bybit", "", "10004", _NOT, _HALT, "the signature was refused", _ACCOUNT),
    Rule("bybit", "", "10005", _NOT, _HALT, "the key has not this permission", _ACCOUNT),
    Rule("bybit", "", "10006", _NOT, _LATER, "requests too frequent"),
    Rule("bybit", "", "10007", _NOT, _HALT, "authentication failed", _ACCOUNT),
    Rule("bybit", "", "10008", _NOT, _HALT, "the account is banned", _ACCOUNT),
    Rule("bybit", "", "10009", _NOT, _HALT, "the address is banned", _VENUE),
    Rule("bybit", "", "10010", _NOT, _HALT, "the address is not one of the key's", _ACCOUNT),
    Rule("bybit", "", "10014", _UNKNOWN, _ASK, "a duplicate request: the first one may live"),
    Rule("bybit", "", "10016", _UNKNOWN, _ASK, "server error"),
    Rule("bybit", "", "10018", _NOT, _LATER, "requests from this address too frequent"),
    Rule("bybit", "", "10019", _UNKNOWN, _HALT, "the service restarts", _VENUE),
    Rule("bybit", "", "10027", _NOT, _HALT, "trading is banned", _ACCOUNT),
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
HUMAN_AFTER = {_TOP_UP: TOP_UP_LIMIT}  # tries of one order that end so
# The same refusal of so many orders of a coin in a row is no longer that of one order, against the table.
SYMBOL_AFTER = {_HUMAN: 3, _REPLAN: 2}
_UNLISTED = Verdict(_UNKNOWN, _ASK, "an unlisted answer that may have executed")
_UNLISTED_REFUSAL = Verdict(_NOT, _HUMAN, "an unlisted refusal")


class Table:
    """Rules that have been checked. Raises: TableInvalid."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_key: dict[tuple[str, str, str, str], Rule] = {}
        self._by_words: dict[tuple[str, str], list[Rule]] = {}
        for rule in self.rules:
            key = rule.venue, rule.kind, rule.code, rule.message
            wrong = _what_is_wrong(rule) or ("it is there twice" if key in self._by_key else "")
            if wrong:
                raise TableInvalid(f"{' '.join(filter(None, key)) or 'a rule without a name'}: {wrong}")
            self._by_key[key] = rule
            if rule.message:
                self._by_words.setdefault((rule.venue, rule.code), []).append(rule)

    def judge(self, answer: Answer) -> Verdict:
        """What an answer means."""
        verdict = self._of_request(answer)
        if not answer.to_question:
            return verdict
        follow = _HALT if verdict.follow is _HALT else _ASK
        return Verdict(_UNKNOWN, follow, verdict.why, verdict.scope)

    def _of_request(self, answer: Answer) -> Verdict:
        venue, kind, code = answer.venue, answer.kind, answer.code
        words = _plain(answer.message)
        said = [
            rule for rule in self._by_words.get((venue, code), ()) if words.startswith(_plain(rule.message))
        ]
        keys = ((venue, kind, code, ""), (venue, "", code, ""), ("", kind, "", ""))
        for rule in (*sorted(said, key=_length, reverse=True), *map(self._by_key.get, keys)):
            if rule is not None and (rule.outcome is _UNKNOWN or kind not in MAY_HAVE_EXECUTED):
                return Verdict(rule.outcome, rule.follow, rule.why, rule.scope)
        is_refusal = answer.status in REFUSING and answer.status not in NOT_REFUSING and code != ""
        return _UNLISTED_REFUSAL if is_refusal and kind not in MAY_HAVE_EXECUTED else _UNLISTED


def _plain(words: str) -> str:
    return " ".join(words.casefold().split())


def _length(rule: Rule) -> int:
    return len(rule.message)


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
    if rule.message and not rule.code:
        return "words tell apart what one code stands for"
    if (rule.follow in (_HALT, _REPLAN)) != (rule.scope is not Scope.ORDER):
        return "what concerns more than one order halts or is planned anew, and nothing else does"
    return ""


TABLE = Table((*_KINDS, *_BINANCE, *_BINANCE_WORDS, *_OKX, *_BYBIT))


def pause_seconds(
    attempts: int,
    *,
    asked_for: float | None = None,
    steps_seconds: tuple[float, ...] = BACKOFF_SECONDS,
    at_most: float = LONGEST_PAUSE_SECONDS,
) -> float:
    """Pause before the next try after `attempts` of them: never less than the venue `asked_for`, as far as that is not
    beyond `at_most`, and never in step with others who failed at the same time."""
    backoff = steps_seconds[min(max(attempts, 1), len(steps_seconds)) - 1]
    return max(backoff, min(asked_for or 0.0, at_most)) * (1 + JITTER_RATE * random.random())


def retry_pause_seconds(follow: Follow, attempts: int, *, asked_for: float | None) -> float:
    """Pause before what was certainly not done is sent again, after `attempts` of it."""
    if follow is Follow.RETRY_AT_ONCE and attempts <= AT_ONCE_LIMIT and not asked_for:
        return 0.0
    return pause_seconds(attempts, asked_for=asked_for)
