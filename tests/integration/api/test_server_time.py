"""The time of the server: told to anybody, as signatures are judged by it, and to nobody while it is not known."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from infra.coordination import clock
from infra.coordination.clock import ClockUnknown
from tests.support.api import error_of
from tests.support.api_keys import SigningCaller
from tests.support.factories import make_customer

pytestmark = pytest.mark.django_db
PATH = "/api/v1/time"
NOW = datetime(2031, 5, 6, 7, 8, 9, 123999, tzinfo=UTC)


@pytest.fixture
def at_now(monkeypatch):
    monkeypatch.setattr(clock.of("default"), "now", lambda: NOW)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Token x"}, {"X-API-Key": "cbk_x", "X-API-Timestamp": "1"}],
    ids=["none", "a wrong token", "a wrong signature"],
)
def test_anybody_is_told_the_time_with_wrong_credentials_too(at_now, headers, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = Client().get(PATH, headers=headers)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    assert answer.json() == {"now": "2031-05-06T07:08:09.123999Z", "now_ms": 1935817689123}
    assert datetime.fromtimestamp(1935817689, UTC) == NOW.replace(microsecond=0)


def test_a_signature_is_judged_by_the_time_that_is_told(at_now):
    """One made a millisecond before its window ends is in time, and is refused for its key alone."""
    now_ms = Client().get(PATH).json()["now_ms"]
    signer = SigningCaller(make_customer(), expires_at=NOW - timedelta(days=1))

    def told(at_ms):
        headers = signer.headers("GET", "/api/v1/accounts", at_ms=at_ms, recv_window=1)
        return error_of(Client().get("/api/v1/accounts", headers=headers), 401)

    assert told(now_ms)["code"] == "authentication_failed"
    refused = told(now_ms - 1)
    assert refused["code"] == "signature_expired"
    assert datetime.fromisoformat(refused["detail"]["now"]) == NOW


def test_a_time_that_is_not_known_is_not_told(monkeypatch):
    def unknown():
        raise ClockUnknown("the clock leapt")

    monkeypatch.setattr(clock.of("default"), "now", unknown)
    answer = Client().get(PATH)
    assert error_of(answer, 503)["code"] == "unavailable"
    assert answer["Retry-After"] == "1"


def test_nothing_can_be_asked_for_and_nothing_done():
    assert error_of(Client().get(PATH, {"zone": "UTC"}), 400)["code"] == "invalid_request"
    for method in ("post", "put", "delete", "options"):
        assert error_of(getattr(Client(), method)(PATH), 405)["code"] == "method_not_allowed"
    assert Client().head(PATH).content == b""
