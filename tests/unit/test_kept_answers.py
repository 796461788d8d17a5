"""Answers that are kept for a moment, by a clock that the tests set."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest

from counter.api import kept_answers
from counter.api.kept_answers import KEPT_AT_MOST, KeptAnswers

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def good_for(monkeypatch):
    monkeypatch.setattr(kept_answers, "GOOD_FOR", timedelta(seconds=0.5))


@pytest.fixture
def kept():
    return KeptAnswers()


def told(kept, asked, at):
    """The moment as of which the answer is."""
    return kept.get(asked, lambda now: now, clock=lambda: at)


@pytest.mark.parametrize(
    ("seconds", "is_kept"), [(0, True), (0.499, True), (0.5, False), (3600, False), (-3600, False)]
)
def test_an_answer_is_good_for_half_a_second_however_the_clock_leaps(kept, seconds, is_kept):
    later = NOON + timedelta(seconds=seconds)
    assert told(kept, "a", NOON) == NOON
    assert told(kept, "b", later) == later
    assert told(kept, "a", later) == (NOON if is_kept else later)


def test_no_more_are_kept_than_there_is_room_for_the_last_ones(kept):
    later = NOON + timedelta(seconds=0.1)
    for number in range(KEPT_AT_MOST + 1):
        told(kept, number, NOON)
    assert told(kept, 0, later) == later
    assert told(kept, KEPT_AT_MOST, later) == NOON


def test_a_crowd_asks_once_and_what_fails_is_not_kept(kept):
    asked, answers, together = [], [], Barrier(5)

    def ask(now):
        asked.append(now)
        return now

    def come():
        together.wait()
        answers.append(kept.get("a", ask, clock=lambda: NOON))

    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda _now: 1 // 0, clock=lambda: NOON)
    crowd = [Thread(target=come) for _ in range(5)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert (asked, answers) == ([NOON], [NOON] * 5)
