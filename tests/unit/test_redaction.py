"""Secrets are hidden in every line and every event, however they are written; ordinary text is left alone."""

import io
import json
import logging
from types import SimpleNamespace

import pytest
import sentry_sdk
import structlog

from infra.observability import logging as program_logging
from infra.observability.redaction import HIDDEN, everywhere, hiding, secrets_of, without_amounts
from tests.support.sentry import Kept

TOKEN = "0123456789abcdef0123456789abcdef01234567"
API_SECRET = "cbs_x-4XqPZ0_1MHfGdkNvEyzRmvP2p3b8dQj3rLsv7wA2c"
STAFF_KEY = "staff_x-4XqPZ0_1MHfGdkNvEyzRmvP2p3b8dQj3rLsv7wA2c"
SECRETS = {
    "SECRET_KEY": "django-key-that-nobody-sees",
    "SERVICE_KEY": "service-key-of-today, service-key-of-yesterday",
    "WALLET_KEY": "wallet-key-that-nobody-sees",
    "API_KEYS_SECRET": "api-keys-of-today,api-keys-of-yesterday",
    "PUBLIC_IDS_KEY": "public-ids-key-that-nobody-sees",
    "VENUE_API_KEY": "venue-key-that-nobody-sees",
    "VENUE_API_SECRET": 'venue"secret\\ü-that-nobody-sees',
    "BROKER_URL": "redis://:br%2Foker-pass@127.0.0.1:6379/0",
    "FLOWER_BASIC_AUTH": "crossbook:flower-pass",
    "SENTRY_DSN": "",
    "LOG_LEVEL": "INFO",
    "METRICS_TOKEN": "metrics-token-that-nobody-sees",
}
PASSWORD = "database-pass"
PLAIN = [
    *("django-key-that-nobody-sees", "service-key-of-today", "service-key-of-yesterday"),
    *("venue-key-that-nobody-sees", 'venue"secret\\ü-that-nobody-sees', "br/oker-pass", PASSWORD, TOKEN),
    *("flower-pass", "wallet-key-that-nobody-sees", "metrics-token-that-nobody-sees"),
    *("flower-pass", "api-keys-of-today", "api-keys-of-yesterday", "public-ids-key-that-nobody-sees"),
]


@pytest.fixture
def known(monkeypatch):
    """Settings with these secrets, as the logging and Sentry are configured from."""
    settings = SimpleNamespace(**SECRETS, DATABASES={"default": {"PASSWORD": PASSWORD}, "desk": {}})
    monkeypatch.setattr(program_logging, "settings", settings)
    return settings


def leaks(text):
    """Which secrets a text shows, as they are or as JSON or an address writes them."""
    forms = {secret: (secret, json.dumps(secret)[1:-1]) for secret in PLAIN}
    return [secret for secret, written in forms.items() if any(form in text for form in written)]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://u:pw@host/db", f"postgresql://{HIDDEN}@host/db"),
        ("amqp://guest:guest@host//", f"amqp://{HIDDEN}@host//"),
        ("host=h password=pw dbname=d", f"host=h password={HIDDEN} dbname=d"),
        ("GET /x?a=1&signature=abcdef", f"GET /x?a=1&signature={HIDDEN}"),
        (f"secret {API_SECRET}, of", f"secret cbs_{HIDDEN}, of"),
        ("by whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,", f"by whsec_{HIDDEN},"),
        (f"Authorization: StaffKey {STAFF_KEY}", f"Authorization: StaffKey staff_{HIDDEN}"),
        (f"a refused '{STAFF_KEY}'", f"a refused 'staff_{HIDDEN}'"),
        (f"Authorization: Token {TOKEN}", f"Authorization: Token {HIDDEN}"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text, hidden):
    assert hiding([])(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "order 17 of customer 5 at 2026-11-24T11:00:00.123456Z",
        '{"event": "pulled orders that no message brought", "accepted": 3}',
        "http://127.0.0.1:8000/internal/v1/sync-orders",
        "xb-0123456789abcdef",
        "tests/integration/api/test_staff_keys_are_ended.py of staff_site",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert hiding(["secret-of-ours"])(text) == text


def test_known_secrets_are_hidden_however_they_are_written(known):
    hide = hiding(secrets_of(known))
    for secret in PLAIN:
        for text in (secret, json.dumps({"x": secret}), f"{secret} {secret}", f"{known.BROKER_URL} {secret}"):
            assert leaks(hide(text)) == []
            assert "br%2Foker" not in hide(text)


def test_amounts_are_hidden_and_versions_are_not():
    assert without_amounts("cost 12.50 is above -0.000001 (ccxt 4.5.90, id 17)") == (
        "cost # is above # (ccxt 4.5.90, id 17)"
    )
    assert everywhere({"a": ["1.5", 2, None, ("3.25",)]}, without_amounts) == {"a": ["#", 2, None, ["#"]]}


# --- log lines --------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(known, monkeypatch):
    """What the real logging configuration writes."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    program_logging.configure()
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_no_log_line_of_any_writer_shows_a_secret(lines):
    for secret in PLAIN:
        structlog.get_logger("ours").error(f"failed with {secret}", error=secret, of={"its": [secret]})
        logging.getLogger("theirs").error("connecting with %s", secret)
        logging.getLogger("theirs").error("a mapping: %r", {"key": secret})
        try:
            raise RuntimeError(f"refused: {secret}")
        except RuntimeError:
            structlog.get_logger("ours").exception("caught")
            logging.getLogger("theirs").exception("caught")
    written = lines.getvalue()
    assert written.count("\n") == 5 * len(PLAIN)
    assert all(json.loads(line)["event"] for line in written.splitlines())
    assert leaks(written) == []


def test_a_logger_in_use_is_captured_also_when_the_process_is_configured_anew(lines):
    log = structlog.get_logger("in use")
    log.warning("before")
    program_logging.configure()
    with structlog.testing.capture_logs() as captured:
        log.warning("after")
    assert [line["event"] for line in captured] == ["after"]


# --- Sentry -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(known):
    program_logging.start_sentry(dsn="https://public@sentry.invalid/1", transport=Kept)
    yield Kept.sent
    Kept.stop()


def fail(secret, amount):
    local_copy, payload = secret, {"cost": amount}  # frames hold what they hold
    sentry_sdk.add_breadcrumb(message=f"before: {secret} {amount}")
    sentry_sdk.set_extra("order", payload)
    raise RuntimeError(f"refused {local_copy} for {amount}")


def test_no_event_shows_a_secret_or_an_amount(sent, known):
    for secret in PLAIN:
        try:
            fail(secret, "1234.567891")
        except RuntimeError as error:
            sentry_sdk.capture_exception(error)
            logging.getLogger("theirs").exception("failed with %s for %s", secret, "1234.567891")
            structlog.get_logger("ours").exception("failed", error=secret, cost="1234.567891")
    everything = "".join(sent)
    assert len(sent) >= len(PLAIN)
    assert "RuntimeError" in everything
    assert "test_redaction.py" in everything
    assert leaks(everything) == []
    assert "1234.5678" not in everything
    assert '"vars"' not in everything
