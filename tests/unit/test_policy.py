"""The error table says no only where the venue has certainly done nothing."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.exchange.client import new_exchange
from infra.exchange.lean_ccxt import ccxt
from settlement.venues import error_table
from settlement.venues.error_table import Answer, Follow, Outcome, Rule, Scope, Table, TableInvalid

KINDS = sorted(
    {rule.kind for rule in error_table.TABLE.rules} | error_table.MAY_HAVE_EXECUTED | error_table.OWN_KINDS
)
CODES = sorted({rule.code for rule in error_table.TABLE.rules} | {"-987654", "0"})
WORDS = sorted({rule.message for rule in error_table.TABLE.rules} | {"Filter failure: LOT_SIZE"})
answers = st.builds(
    Answer,
    venue=st.sampled_from(["binance", "okx", "bybit", "kraken"]),
    kind=st.sampled_from([*KINDS, "ExchangeError", "NoSuchKind"]),
    code=st.sampled_from(CODES),
    status=st.none() | st.sampled_from([200, 400, 401, 403, 404, 408, 409, 418, 429, 500, 503, 504, 520]),
    to_question=st.booleans(),
    message=st.sampled_from(WORDS),
)


def judge(kind: str, code: str = "", *, venue: str = "binance", status: int | None = None) -> tuple:
    verdict = error_table.TABLE.judge(Answer(venue, kind, code, status))
    return verdict.outcome, verdict.follow


@pytest.mark.parametrize("kind", ["", "NoSuchKind", "ExchangeError", "NotSupported", "OperationRejected"])
def test_what_the_table_does_not_name_is_unknown_unless_the_venue_has_certainly_refused_it(kind):
    ask, human = (Outcome.UNKNOWN, Follow.ASK), (Outcome.NOT_DONE, Follow.HUMAN)
    assert judge(kind, "-9999", status=400) == human
    assert judge(kind, "-9999", status=422) == human
    for status in (None, 200, 302, 408, 409, 500, 503):
        assert judge(kind, "-9999", status=status) == ask
    assert judge(kind, status=400) == ask  # whose word is it, without a code of the venue?


@given(answer=answers)
def test_no_answer_of_a_kind_that_may_have_executed_is_a_no_by_its_code(answer):
    verdict = error_table.TABLE.judge(answer)
    if answer.kind in error_table.MAY_HAVE_EXECUTED or answer.to_question:
        assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.outcome is not Outcome.DONE
    assert (verdict.outcome is Outcome.NOT_DONE) <= (verdict.follow is not Follow.ASK)
    assert (verdict.outcome is Outcome.UNKNOWN) <= (verdict.follow in (Follow.ASK, Follow.HALT))


@given(answer=answers, data=st.data())
def test_nor_can_an_edited_table_make_it_one(answer, data):
    rules = [
        Rule(rule.venue, rule.kind, rule.code, *verdict[:2], rule.why, verdict[2], rule.message)
        for rule in error_table.TABLE.rules
        if (verdict := data.draw(st.sampled_from([*VERDICTS, None]))) is not None
    ]
    try:
        table = Table(rules)
    except TableInvalid:
        table = Table(rule for rule in rules if rule.kind not in error_table.MAY_HAVE_EXECUTED)
    if answer.kind in error_table.MAY_HAVE_EXECUTED:
        assert table.judge(answer).outcome is Outcome.UNKNOWN


VERDICTS = [
    (Outcome.NOT_DONE, Follow.RETRY_AT_ONCE, Scope.ORDER),
    (Outcome.NOT_DONE, Follow.HUMAN, Scope.ORDER),
    (Outcome.UNKNOWN, Follow.ASK, Scope.ORDER),
    (Outcome.UNKNOWN, Follow.HALT, Scope.VENUE),
]


@pytest.mark.parametrize(
    "rule", error_table.TABLE.rules, ids=lambda rule: f"{rule.venue}{rule.kind}{rule.code}{rule.message}"
)
def test_each_line_decides_what_it_names(rule):
    kinds = (
        [rule.kind] if rule.kind else ["ExchangeError", "InvalidOrder", "BadRequest", "AuthenticationError"]
    )
    for kind in kinds:
        answer = Answer(rule.venue or "binance", kind, rule.code, 400, message=f"{rule.message} and so on")
        verdict = error_table.TABLE.judge(answer)
        assert (verdict.outcome, verdict.follow, verdict.why) == (rule.outcome, rule.follow, rule.why)
        assert verdict.scope is rule.scope
    assert rule.kind in {"", *error_table.OWN_KINDS} or issubclass(getattr(ccxt, rule.kind), ccxt.BaseError)


def test_a_code_comes_before_its_kind_and_counts_at_its_own_venue_only():
    assert judge("InvalidOrder", "-2010") == (Outcome.NOT_DONE, Follow.HUMAN)
    assert judge("InvalidOrder", "-1013") == (Outcome.NOT_DONE, Follow.REPLAN)
    assert judge("InvalidOrder", "170146", venue="bybit") == (Outcome.UNKNOWN, Follow.ASK)
    assert judge("InvalidOrder", "170146", venue="okx") == (Outcome.NOT_DONE, Follow.HUMAN)
    assert judge("InvalidOrder", "51016", venue="okx") == (Outcome.UNKNOWN, Follow.ASK)
    assert judge("DDoSProtection", "-2015") == (Outcome.NOT_DONE, Follow.HALT)  # a key that worked before
    assert judge("BadRequest", "-1016", status=400) == (Outcome.NOT_DONE, Follow.HALT)
    assert judge("ServerError", "-1016", status=503) == (Outcome.UNKNOWN, Follow.HALT)


def test_an_answer_to_a_question_says_nothing_of_what_was_asked_about_but_may_halt():
    for kind, follow in (("BadRequest", Follow.ASK), ("AuthenticationError", Follow.HALT)):
        verdict = error_table.TABLE.judge(Answer("binance", kind, "", 400, to_question=True))
        assert (verdict.outcome, verdict.follow) == (Outcome.UNKNOWN, follow)


@pytest.mark.parametrize(
    ("code", "message", "verdict"),
    [
        ("-2010", "Duplicate order sent.", (Outcome.UNKNOWN, Follow.ASK, Scope.ORDER)),
        ("-2010", "Account has insufficient balance for requested action.", ("not_done", "top_up", "order")),
        ("-2010", "Market is closed.", ("not_done", "halt", "symbol")),
        ("-1013", "Market is closed.", ("not_done", "halt", "symbol")),
        ("-1013", "Filter failure: LOT_SIZE", ("not_done", "replan", "symbol")),
        ("-2010", "This symbol is restricted for this account.", ("not_done", "halt", "symbol")),
        ("-2010", "This account may not place or cancel orders.", ("not_done", "halt", "account")),
        ("-2010", "MARKET  IS CLOSED", ("not_done", "halt", "symbol")),
        ("-2010", "Filter failure: NOTIONAL", ("not_done", "replan", "symbol")),
        ("-2010", "Words that nobody has listed.", ("not_done", "human", "order")),
    ],
)
def test_one_code_for_many_rejections_is_told_apart_by_its_words(code, message, verdict):
    told = error_table.TABLE.judge(Answer("binance", "InvalidOrder", code, 400, message=message))
    assert (told.outcome, told.follow, told.scope) == verdict


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("Market is closed.", ("not_done", "halt", "symbol")),
        ("Account has insufficient balance for requested action.", ("not_done", "top_up", "order")),
        ("Duplicate order sent.", ("unknown", "ask", "order")),
        ("Some other reason.", ("not_done", "human", "order")),
    ],
)
def test_an_error_of_the_matching_engine_is_judged_by_its_words(words, verdict):
    exchange = new_exchange(client="binance", url="http://127.0.0.1:9", timeout_seconds=1)
    body = f'{{"code":-1010,"msg":"{words}"}}'
    with pytest.raises(ccxt.BaseError) as raised:
        exchange.handle_errors(400, "", "http://127.0.0.1:9", "POST", {}, body, json.loads(body), {}, "")
    told = error_table.TABLE.judge(
        Answer("binance", type(raised.value).__name__, "-1010", 400, message=words)
    )
    assert (told.outcome, told.follow, told.scope) == verdict


def test_what_ccxt_did_not_send_for_a_filter_is_planned_anew_and_goes_to_nobody():
    told = error_table.TABLE.judge(Answer("binance", "DoesNotFit", ""))
    assert (told.outcome, told.follow, told.scope) == ("not_done", "replan", "symbol")


NOT_DONE, UNKNOWN = Outcome.NOT_DONE, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (
            Rule("", "ServerError", "", NOT_DONE, Follow.HUMAN, ""),
            "ServerError: ServerError may have executed",
        ),
        (Rule("okx", "NetworkError", "1", NOT_DONE, Follow.HUMAN, ""), "may have executed"),
        (Rule("", "BadRequest", "", Outcome.DONE, Follow.ASK, ""), "no failure says that it was done"),
        (Rule("", "BadRequest", "", UNKNOWN, Follow.RETRY_LATER, ""), "asked for, and nothing else"),
        (Rule("", "BadRequest", "", UNKNOWN, Follow.HUMAN, ""), "asked for, and nothing else"),
        (Rule("", "BadRequest", "", NOT_DONE, Follow.ASK, ""), "need not be asked for"),
        (Rule("", "", "", UNKNOWN, Follow.ASK, ""), "neither a kind nor a code"),
        (Rule("", "", "-1", UNKNOWN, Follow.ASK, ""), "a code is a venue's own"),
        (Rule("okx", "BadRequest", "", UNKNOWN, Follow.ASK, ""), "a venue's rule names its code"),
        (Rule("", "BadRequest", "", NOT_DONE, Follow.HUMAN, "", message="no"), "words tell apart"),
        (Rule("", "BadRequest", "", NOT_DONE, Follow.HALT, ""), "more than one order"),
        (Rule("", "BadRequest", "", NOT_DONE, Follow.HUMAN, "", Scope.SYMBOL), "more than one order"),
    ],
)
def test_a_table_that_contradicts_itself_or_the_third_outcome_is_refused(rule, why):
    with pytest.raises(TableInvalid, match=why):
        Table([rule])


def test_a_table_with_two_lines_for_the_same_answer_is_refused():
    with pytest.raises(TableInvalid, match="okx 50004: it is there twice"):
        Table([*error_table.TABLE.rules, Rule("okx", "", "50004", UNKNOWN, Follow.HALT, "", Scope.VENUE)])


@pytest.mark.parametrize("attempts", [0, 1, 2, 5, 1000])
def test_pauses_grow_to_a_bound_and_are_never_shorter_than_what_was_asked_for(attempts):
    longest = error_table.BACKOFF_SECONDS[-1] * (1 + error_table.JITTER_RATE)
    for _ in range(50):
        assert error_table.BACKOFF_SECONDS[0] <= error_table.pause_seconds(attempts) <= longest
        assert error_table.pause_seconds(attempts, asked_for=200.0) >= 200.0
        most = error_table.LONGEST_PAUSE_SECONDS * (1 + error_table.JITTER_RATE)
        assert error_table.pause_seconds(attempts, asked_for=1e9) <= most < 600
        assert error_table.pause_seconds(attempts, asked_for=1e6, at_most=math.inf) >= 1e6


def test_at_once_means_without_a_pause_the_first_time_and_never_against_the_venues_word():
    def pause(attempts, asked_for=None):
        return error_table.retry_pause_seconds(Follow.RETRY_AT_ONCE, attempts, asked_for=asked_for)

    assert pause(1) == 0
    assert pause(2) >= error_table.BACKOFF_SECONDS[1]
    assert pause(1, asked_for=3.0) >= 3
    assert (
        error_table.retry_pause_seconds(Follow.RETRY_LATER, 1, asked_for=None)
        >= error_table.BACKOFF_SECONDS[0]
    )


def test_a_miss_takes_longer_than_the_venue_lets_a_request_be_under_way():
    from settlement.venues.ccxt_venue import RECEIVE_WINDOW_MS

    assert error_table.MISSED_AFTER_SECONDS * 1000 >= 3 * RECEIVE_WINDOW_MS
    assert error_table.MISSES_TO_BE_SURE >= 3
