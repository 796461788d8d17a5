"""The error table says no only where the venue has certainly done nothing."""

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement import policy
from settlement.policy import Answer, Follow, Outcome, Rule, Table, TableInvalid

KINDS = sorted({rule.kind for rule in policy.TABLE.rules} | policy.MAY_HAVE_EXECUTED | policy.OWN_KINDS)
CODES = sorted({rule.code for rule in policy.TABLE.rules} | {"-1013", "-987654", "0"})
answers = st.builds(
    Answer,
    venue=st.sampled_from(["binance", "okx", "bybit", "kraken"]),
    kind=st.sampled_from([*KINDS, "ExchangeError", "Whatever"]),
    code=st.sampled_from(CODES),
    status=st.none() | st.sampled_from([200, 400, 401, 403, 404, 408, 409, 418, 429, 500, 503, 504, 520]),
    to_question=st.booleans(),
)


def judge(kind: str, code: str = "", *, venue: str = "binance", status: int | None = None) -> tuple:
    verdict = policy.TABLE.judge(Answer(venue, kind, code, status))
    return verdict.outcome, verdict.follow


@pytest.mark.parametrize("kind", ["", "Whatever", "ExchangeError", "NotSupported", "OperationRejected"])
def test_what_the_table_does_not_name_is_unknown_unless_the_venue_has_certainly_refused_it(kind):
    ask, human = (Outcome.UNKNOWN, Follow.ASK), (Outcome.NOT_DONE, Follow.HUMAN)
    assert judge(kind, "-9999", status=400) == human
    assert judge(kind, "-9999", status=422) == human
    for status in (None, 200, 302, 408, 409, 500, 503):
        assert judge(kind, "-9999", status=status) == ask
    assert judge(kind, status=400) == ask  # whose word is it, without a code of the venue?


@given(answer=answers)
def test_no_answer_of_a_kind_that_may_have_executed_is_a_no_whatever_its_code_says(answer):
    verdict = policy.TABLE.judge(answer)
    if answer.kind in policy.MAY_HAVE_EXECUTED or answer.to_question:
        assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.outcome is not Outcome.DONE
    assert (verdict.outcome is Outcome.NOT_DONE) <= (verdict.follow is not Follow.ASK)
    assert (verdict.outcome is Outcome.UNKNOWN) <= (verdict.follow in (Follow.ASK, Follow.HALT))


@given(answer=answers, data=st.data())
def test_nor_can_an_edited_table_make_it_one(answer, data):
    rules = [
        Rule(rule.venue, rule.kind, rule.code, *verdict, rule.why)
        for rule in policy.TABLE.rules
        if (verdict := data.draw(st.sampled_from([*VERDICTS, None]))) is not None
    ]
    try:
        table = Table(rules)
    except TableInvalid:
        table = Table(rule for rule in rules if rule.kind not in policy.MAY_HAVE_EXECUTED)
    if answer.kind in policy.MAY_HAVE_EXECUTED:
        assert table.judge(answer).outcome is Outcome.UNKNOWN


VERDICTS = [
    (Outcome.NOT_DONE, Follow.RETRY_AT_ONCE),
    (Outcome.NOT_DONE, Follow.HUMAN),
    (Outcome.UNKNOWN, Follow.ASK),
    (Outcome.UNKNOWN, Follow.HALT),
]


@pytest.mark.parametrize("rule", policy.TABLE.rules, ids=lambda rule: f"{rule.venue}{rule.kind}{rule.code}")
def test_each_line_decides_what_it_names(rule):
    kinds = (
        [rule.kind] if rule.kind else ["ExchangeError", "InvalidOrder", "BadRequest", "AuthenticationError"]
    )
    for kind in kinds:
        verdict = policy.TABLE.judge(Answer(rule.venue or "binance", kind, rule.code, 400))
        assert (verdict.outcome, verdict.follow, verdict.why) == (rule.outcome, rule.follow, rule.why)
    assert rule.kind in {"", *policy.OWN_KINDS} or issubclass(getattr(ccxt, rule.kind), ccxt.BaseError)


def test_a_code_comes_before_its_kind_and_counts_at_its_own_venue_only():
    assert judge("InvalidOrder", "-2010") == (Outcome.UNKNOWN, Follow.ASK)
    assert judge("InvalidOrder", "-1013") == (Outcome.NOT_DONE, Follow.HUMAN)
    assert judge("InvalidOrder", "170146", venue="bybit") == (Outcome.UNKNOWN, Follow.ASK)
    assert judge("InvalidOrder", "170146", venue="okx") == (Outcome.NOT_DONE, Follow.HUMAN)
    assert judge("InvalidOrder", "51016", venue="okx") == (Outcome.UNKNOWN, Follow.ASK)
    assert judge("DDoSProtection", "-2015") == (Outcome.NOT_DONE, Follow.HALT)  # a key that worked before
    assert judge("BadRequest", "-1016", status=400) == (Outcome.NOT_DONE, Follow.HALT)
    assert judge("ServerError", "-1016", status=503) == (Outcome.UNKNOWN, Follow.HALT)


def test_an_answer_to_a_question_says_nothing_of_what_was_asked_about_but_may_halt():
    for kind, follow in (("BadRequest", Follow.ASK), ("AuthenticationError", Follow.HALT)):
        verdict = policy.TABLE.judge(Answer("binance", kind, "", 400, to_question=True))
        assert (verdict.outcome, verdict.follow) == (Outcome.UNKNOWN, follow)


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
    ],
)
def test_a_table_that_contradicts_itself_or_the_third_outcome_is_refused(rule, why):
    with pytest.raises(TableInvalid, match=why):
        Table([rule])


def test_a_table_with_two_lines_for_the_same_answer_is_refused():
    with pytest.raises(TableInvalid, match="okx 50004: it is there twice"):
        Table([*policy.TABLE.rules, Rule("okx", "", "50004", UNKNOWN, Follow.HALT, "")])


@pytest.mark.parametrize("attempts", [0, 1, 2, 5, 1000])
def test_pauses_grow_to_a_bound_and_are_never_shorter_than_what_was_asked_for(attempts):
    longest = policy.BACKOFF_SECONDS[-1] * (1 + policy.JITTER_RATE)
    for _ in range(50):
        assert policy.BACKOFF_SECONDS[0] <= policy.pause_seconds(attempts) <= longest
        assert policy.pause_seconds(attempts, asked_for=3600.0) >= 3600.0


def test_at_once_means_without_a_pause_the_first_time_and_never_against_the_venues_word():
    def pause(attempts, asked_for=None):
        return policy.retry_pause_seconds(Follow.RETRY_AT_ONCE, attempts, asked_for=asked_for)

    assert pause(1) == 0
    assert pause(2) >= policy.BACKOFF_SECONDS[1]
    assert pause(1, asked_for=3.0) >= 3
    assert policy.retry_pause_seconds(Follow.RETRY_LATER, 1, asked_for=None) >= policy.BACKOFF_SECONDS[0]


def test_a_miss_takes_longer_than_the_venue_lets_a_request_be_under_way():
    from settlement.venues.ccxt_venue import RECEIVE_WINDOW_MS

    assert policy.MISSED_AFTER_SECONDS * 1000 >= 3 * RECEIVE_WINDOW_MS
    assert policy.MISSES_TO_BE_SURE >= 3
