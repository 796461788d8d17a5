"""A start that takes long waits, and says for what."""

from tools.stack import readiness


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
