"""The settings as a server on the open net has them, and as one on a machine of one's own."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

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
    "VENUE_API_KEY": secrets.token_urlsafe(48),
    "VENUE_API_SECRET": secrets.token_urlsafe(48),
}
SAFE = (
    *("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_PROXY_SSL_HEADER"),
    *("SECURE_HSTS_SECONDS", "DEBUG"),
)


def manage(tmp_path, *arguments, **given):
    """`manage.py` in an environment of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**kept, "VAR_DIR": str(tmp_path), **given},
        capture_output=True,
        text=True,
        timeout=120,
    )


def loaded(tmp_path, **given):
    ask = f"import json; from django.conf import settings as s; print(json.dumps([getattr(s, n) for n in {SAFE}]))"
    done = manage(tmp_path, "shell", "--no-imports", "-c", ask, **given)
    assert done.returncode == 0, done.stderr
    return dict(zip(SAFE, json.loads(done.stdout.splitlines()[-1]), strict=True))


def test_the_deployment_check_finds_nothing(tmp_path):
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_the_deployment_check_finds_what_is_left_open(tmp_path):
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **{**PRODUCTION, "HTTPS": ""})
    assert done.returncode
    assert "SECURE_SSL_REDIRECT" in done.stderr


def test_without_https_a_browser_on_this_machine_can_log_in(tmp_path):
    assert not any(loaded(tmp_path).values())


def test_how_long_browsers_insist_on_tls_can_be_said(tmp_path):
    assert loaded(tmp_path, **PRODUCTION, HSTS_SECONDS="31536000")["SECURE_HSTS_SECONDS"] == 31536000
