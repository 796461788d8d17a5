"""No process runs with a key that anybody could know."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.embedded import keys

ROOT = Path(__file__).resolve().parents[2]
KEYS = f"from django.conf import settings; print(*(getattr(settings, n) for n in {keys.PUBLISHED}))"
OWN_DATABASES = {"DATABASE_URL": "postgresql:///a", "DESK_DATABASE_URL": "postgresql:///b"}


def load(var_dir, *command, **given):
    """The keys of the settings as a fresh process loads them."""
    unset = {*keys.PUBLISHED, "DATABASE_URL", "DESK_DATABASE_URL", "DEBUG"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"VAR_DIR": str(var_dir), "DJANGO_SETTINGS_MODULE": "config.settings", **given}
    return subprocess.run(
        [sys.executable, *(command or ("-c", KEYS))],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "given", [{}, *({n: "x" for n in keys.PUBLISHED if n != name} for name in keys.PUBLISHED)]
)
def test_beside_databases_of_ones_own_nothing_starts_without_keys(tmp_path, given):
    done = load(tmp_path, **OWN_DATABASES, **given)
    assert done.returncode
    assert "has to be set" in done.stderr


def test_keys_that_are_given_are_taken(tmp_path):
    given = dict(zip(keys.PUBLISHED, "abcde", strict=True))
    assert load(tmp_path, **OWN_DATABASES, **given).stdout.split() == ["a", "b", "c", "d", "e"]


def test_without_servers_each_process_has_keys_of_its_own(tmp_path):
    first, second = load(tmp_path).stdout.split(), load(tmp_path).stdout.split()
    assert len(first) == len(second) == len(keys.PUBLISHED)
    assert not {*first} & {*second}


def test_a_command_finds_the_stacks_keys_and_without_them_has_its_own(tmp_path):
    command = ("manage.py", "shell", "--no-imports", "-c", KEYS)
    first, second = load(tmp_path, *command).stdout.split(), load(tmp_path, *command).stdout.split()
    assert len(first) == len(second) == len(keys.PUBLISHED)
    assert not {*first} & {*second}
    made = keys.ensure(tmp_path)
    assert load(tmp_path, *command).stdout.split() == [made[name] for name in keys.PUBLISHED]


def test_a_command_beside_databases_of_ones_own_gets_no_keys_made_up_for_it(tmp_path):
    done = load(tmp_path, "manage.py", "check", DATABASE_URL="postgresql:///a")
    assert done.returncode
    assert "has to be set" in done.stderr
