"""The error table says no only where the venue has certainly done nothing."""

import ccxt
import pytest

from settlement import policy
from settlement.policy import Follow, Outcome


def test_what_the_table_does_not_name_may_have_been_executed():
    for kind in ("", "Whatever", "ExchangeError", "NullResponse", "BadResponse", "AccountSuspended"):
        verdict = policy.judge(kind=kind, code="-9999")
        assert (verdict.outcome, verdict.follow) == (Outcome.UNKNOWN, Follow.ASK)


def test_a_rule_for_a_code_comes_before_the_rule_for_its_kind():
    assert policy.judge(kind="InvalidOrder", code="-2010").outcome is Outcome.UNKNOWN
    assert policy.judge(kind="InvalidOrder", code="-1013").outcome is Outcome.NOT_DONE


def test_what_is_unknown_is_asked_for_and_nothing_else_is():
    for rule in policy.TABLE:
        assert (rule.outcome is Outcome.UNKNOWN) == (rule.follow is Follow.ASK), rule
        assert rule.outcome is not Outcome.DONE


def test_each_line_says_something_else_and_names_a_kind_there_is():
    keys = [(rule.kind, rule.code) for rule in policy.TABLE]
    assert len(keys) == len(set(keys))
    for kind, _ in keys:
        assert kind in ("ServerError", "NotConnected", "BadAnswer") or hasattr(ccxt, kind)


@pytest.mark.parametrize("attempts", [0, 1, 2, 5, 1000])
def test_pauses_grow_to_a_bound_and_are_never_shorter_than_what_was_asked_for(attempts):
    longest = policy.BACKOFF_SECONDS[-1] * (1 + policy.JITTER_RATE)
    for _ in range(50):
        assert policy.BACKOFF_SECONDS[0] <= policy.pause_seconds(attempts) <= longest
        assert policy.pause_seconds(attempts, asked_for=3600.0) >= 3600.0


def test_a_miss_takes_longer_than_the_venue_lets_a_request_be_under_way():
    from settlement.venues.ccxt_venue import RECEIVE_WINDOW_MS

    assert policy.MISSED_AFTER_SECONDS * 1000 >= 3 * RECEIVE_WINDOW_MS
    assert policy.MISSES_TO_BE_SURE >= 3
