"""Reasons as they are kept, and who is at the console."""

import os
import pwd

import pytest

from infra.console import console_user
from infra.reasons import LONGEST, plain_reason


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  the index is wrong \n", "the index is wrong"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("a\x1b[2Jb\0c", "a [2Jb c"),
        ("\u202egnorw si xedni\u2069", "gnorw si xedni"),
        ("<b>Zoë</b> 指数 ₿", "<b>Zoë</b> 指数 ₿"),
        ("x" * LONGEST, "x" * LONGEST),
        ("x" * 1_000_000, "x" * (LONGEST - 1) + "…"),
        (" \x1b\u200b\u2028", ""),
    ],
)
def test_a_reason_is_one_line_that_every_screen_shows_as_it_is(given, kept):
    assert plain_reason(given) == kept


def test_who_is_at_the_console_is_asked_of_the_system_and_not_of_the_environment(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert console_user() == pwd.getpwuid(os.getuid()).pw_name


def test_a_user_without_a_name_is_told_by_number(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1_234_567_890)
    assert console_user() == "user 1234567890"
