"""The settings as a server on the open net has them, and as one on a machine of one's own."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "HTTPS": "1",
    "ALLOWED_HOSTS": "options.example.org",
    "CSRF_TRUSTED_ORIGINS": "https://options.example.org",
    "DATABASE_URL": "postgresql://crossbook:pa55word@127.0.0.1:1/crossbook",
    "DESK_DATABASE_URL": "postgresql://desk:pa55word@127.0.0.1:1/desk",
    "BROKER_URL": "amqp://crossbook:pa55word@127.0.0.1:1//",
    "SECRET_KEY": secrets.token_urlsafe(48),
    "SERVICE_KEY": secrets.token_urlsafe(48),
    "WALLET_KEY": secrets.token_urlsafe(48),
    "API_KEYS_SECRET": secrets.token_urlsafe(48),
    "PUBLIC_IDS_KEY": secrets.token_urlsafe(48),
    "VENUE_API_KEY": secrets.token_urlsafe(48),
    "VENUE_API_SECRET": secrets.token_urlsafe(48),
}
SAFE = (
    *("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_PROXY_SSL_HEADER"),
    *("SECURE_HSTS_SECONDS", "DEBUG"),
)


def run(tmp_path, *arguments, **given):
    """A Python program in an environment of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**kept, "VAR_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings", **given},
        capture_output=True,
        text=True,
        timeout=120,
    )


def loaded(tmp_path, **given):
    ask = f"import json; from django.conf import settings as s; print(json.dumps([getattr(s, n) for n in {SAFE}]))"
    done = run(tmp_path, "-c", ask, **given)
    assert done.returncode == 0, done.stderr
    return dict(zip(SAFE, json.loads(done.stdout.splitlines()[-1]), strict=True))


def test_the_deployment_check_finds_nothing(tmp_path):
    done = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_the_deployment_check_finds_what_is_left_open(tmp_path):
    done = run(
        tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **{**PRODUCTION, "HTTPS": ""}
    )
    assert done.returncode
    assert "SECURE_SSL_REDIRECT" in done.stderr


def test_without_https_a_browser_on_this_machine_can_log_in(tmp_path):
    assert not any(loaded(tmp_path).values())


def test_how_long_browsers_insist_on_tls_can_be_said(tmp_path):
    assert loaded(tmp_path, **PRODUCTION, HSTS_SECONDS="31536000")["SECURE_HSTS_SECONDS"] == 31536000


@pytest.mark.parametrize(
    "program",
    [
        ("manage.py", "check"),
        ("-m", "config.prices"),
        *(("-c", f"import config.{name}") for name in ("asgi", "streaming_asgi", "celery")),
    ],
)
def test_a_wrong_value_stops_the_start_of_each_program_with_one_line(tmp_path, program):
    done = run(tmp_path, *program, SPREAD_RATE="2")
    assert done.returncode
    assert done.stderr == "not started: SPREAD_RATE is 2; allowed: from 0 to below 1\n"


@pytest.mark.parametrize("given", ["-1", "86401", "1.5", "1000000000000000", "NaN"])
def test_a_stop_is_taken_back_alone_for_a_day_at_most(tmp_path, given):
    done = run(tmp_path, "manage.py", "check", STOP_TAKE_BACK_SECONDS=given)
    assert (
        f"not started: STOP_TAKE_BACK_SECONDS is {given}; allowed: 0 to 86,400, whole seconds" in done.stderr
    )


def test_secrets_lie_in_files_for_every_program(tmp_path):
    given = dict(PRODUCTION)
    names = ("SERVICE_KEY", "DATABASE_URL", "VENUE_API_SECRET", "BROKER_URL", "FLOWER_BASIC_AUTH")
    held = {name: given.pop(name, "user:pa55word") for name in names}
    for name, value in held.items():
        (tmp_path / name).write_text(f"{value}\n")
        given[f"{name}_FILE"] = str(tmp_path / name)
    ask = (
        "import json, os; from django.conf import settings as s; print(json.dumps("
        "[s.SERVICE_KEY, s.DATABASES['default']['PASSWORD'], s.VENUE_API_SECRET, s.BROKER_URL, "
        "os.environ['FLOWER_BASIC_AUTH'], os.environ.get('SERVICE_KEY')]))"
    )
    done = run(tmp_path, "-c", ask, **given)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        held["SERVICE_KEY"],
        "pa55word",
        held["VENUE_API_SECRET"],
        held["BROKER_URL"],
        "user:pa55word",
        None,
    ]
