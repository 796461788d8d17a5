"""Plain words: a customer, a caller or a process is never "he", and nothing is "whoever" or "whatever"."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".git", ".venv", "var", "build", "node_modules", "__pycache__"}
READ = {".py", ".md", ".html", ".js", ".mjs", ".sh", ".yml", ".toml"}
PRIVATE = re.compile(
    r"(?<![a-z])(whoever|whosoever|whatever|whatsoever|he|him|his|himself)(?![a-z])", re.IGNORECASE
)


def private_words(text):
    """Lines with one of them; what stands between backticks is a name."""
    for number, line in enumerate(text.splitlines(), start=1):
        if PRIVATE.search(re.sub(r"`[^`]*`", "", line)):
            yield number, line.strip()


def test_no_text_of_the_project_has_private_words():
    found = {}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = set(folders) - SKIPPED
        for path in (Path(folder, name) for name in files):
            is_read = path.suffix in READ and path != Path(__file__)
            if is_read and (lines := list(private_words(path.read_text(errors="replace")))):
                found[path.relative_to(ROOT).as_posix()] = lines
    assert found == {}


@pytest.mark.parametrize(
    "planted",
    [
        "Whoever asks.",
        "whatever comes",
        "def test_whatever_is_sent(): ...",
        "he looks again",
        "# of his orders",
    ],
)
def test_a_planted_word_is_seen(planted):
    assert list(private_words(planted)) == [(1, planted)]
    assert not list(private_words("`he` and the others, this, there"))
