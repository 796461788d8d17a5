"""A start that takes long waits, and says for what."""

import pytest

from tools.stack import programs, readiness


def test_what_is_waited_for_is_said_while_it_takes_long(monkeypatch):
    monkeypatch.setattr(readiness, "SAYS_EVERY_SECONDS", 0.1)
    told: list[str] = []
    answers = iter([False, False, False, False, True])
    assert readiness.wait_telling(lambda: next(answers), what="web", within_seconds=10.0, tell=told.append)
    assert told == ["waiting for web, 0 s so far"]


def test_what_never_answers_is_given_up_after_its_time(monkeypatch):
    monkeypatch.setattr(readiness, "SAYS_EVERY_SECONDS", 0.1)
    told: list[str] = []
    assert not readiness.wait_telling(lambda: False, what="web", within_seconds=0.25, tell=told.append)
    assert len(told) == 3


def test_what_answers_at_once_is_not_mentioned():
    told: list[str] = []
    assert readiness.wait_telling(lambda: True, what="web", within_seconds=10.0, tell=told.append)
    assert told == []


def test_databases_that_were_given_are_waited_for_and_named_when_they_stay_away(tmp_path, monkeypatch):
    plan = programs.plan(
        var_dir=tmp_path, given={"DATABASE_URL": "postgresql://a/b", "DESK_DATABASE_URL": "postgresql://a/c"}
    )
    asked = []

    def answer(urls):
        asked.append(urls)
        return len(asked) > 2

    monkeypatch.setattr(readiness, "databases_answer", answer)
    readiness.wait_for_databases(plan, within_seconds=10.0)
    assert asked == [["postgresql://a/b", "postgresql://a/c"]] * 3
    monkeypatch.setattr(readiness, "databases_answer", lambda urls: False)
    with pytest.raises(readiness.StackFailed, match="databases"):
        readiness.wait_for_databases(plan, within_seconds=0.2)
