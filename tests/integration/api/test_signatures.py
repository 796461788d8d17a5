"""Signed calls of the desk: only what was signed, with a key that counts, at this time, and once."""

import threading
from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from counter import contracts
from counter.access import nonces
from counter.api.errors import ApiError
from counter.api.service_auth import DESK
from counter.contracts import Acknowledgement
from counter.models import SyncOrder, UsedNonce
from infra.http_client import signatures
from tests.support.api import error_of
from tests.support.factories import make_customer, make_option, place_open
from tests.support.signing import signed_headers

pytestmark = pytest.mark.django_db(transaction=True)

SYNC, ACK = "/internal/v1/sync-orders", "/internal/v1/sync-orders/ack"


@pytest.fixture
def order():
    return place_open(make_customer(), make_option())


@pytest.fixture
def message(order, settings):
    return contracts.encode(Acknowledgement(source=settings.COUNTER_SOURCE, order_ids=[order.id]))


def send(headers, body, path=ACK):
    return Client().post(path, body, content_type="application/json", headers=headers)


def refused(response, code):
    assert error_of(response, 401)["code"] == code
    assert set(SyncOrder.objects.values_list("state", flat=True)) <= {"PENDING"}
    return True


def test_a_signed_call_is_taken_and_its_copy_is_not(message):
    headers = signed_headers("POST", ACK, message)
    assert send(headers, message).json() == {"acknowledged": 1}
    assert error_of(send(headers, message), 401)["code"] == "signature_replayed"
    assert send(signed_headers("POST", ACK, message), message).json() == {"acknowledged": 0}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", ACK, None),
        ("POST", SYNC, None),
        ("POST", f"{ACK}?x=1", None),
        ("POST", ACK, b"{}"),
        ("POST", ACK, b""),
    ],
    ids=["method", "path", "query", "body", "no body"],
)
def test_what_differs_from_what_was_signed_is_refused(message, method, path, body):
    headers = signed_headers(method, path, message if body is None else body)
    assert refused(send(headers, message), "signature_invalid")
    assert not UsedNonce.objects.exists()


@pytest.mark.parametrize("missing", ["Signature", "Signature-Input", "Content-Digest"])
def test_a_signature_with_a_part_missing_is_refused(message, missing):
    headers = signed_headers("POST", ACK, message)
    del headers[missing]
    assert refused(send(headers, message), "signature_invalid")


INPUT = 'desk=("@method" "@path" "@query" "content-digest")'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (' "content-digest")', ")"),
        ('"@query" ', ""),
        (";created=", ";expires="),
        (";created=", ";created=9"),
        ('alg="hmac-sha256"', 'alg="rsa-v1_5-sha256"'),
        ('tag="crossbook-desk"', 'tag="another"'),
        ("desk=(", "another=("),
        (INPUT, "desk=1"),
        (INPUT, f"{INPUT}, {INPUT}"),
        (INPUT, "\x00"),
    ],
    ids=repr,
)
def test_a_signature_input_that_was_altered_is_refused(message, old, new):
    headers = signed_headers("POST", ACK, message)
    assert old in headers["Signature-Input"]
    headers["Signature-Input"] = headers["Signature-Input"].replace(old, new)
    assert refused(send(headers, message), "signature_invalid")


@pytest.mark.parametrize("covered", [("@method",), ("@method", "@path"), ()])
def test_a_valid_signature_that_covers_too_little_is_refused(message, covered, monkeypatch):
    monkeypatch.setattr(signatures, "COVERED", (*covered, "content-digest"))
    headers = signed_headers("POST", ACK, message)
    monkeypatch.undo()
    assert refused(send(headers, message), "signature_invalid")


@pytest.mark.parametrize("nonce", ["", "short", "x" * 65, "no letters or digits!"])
def test_a_nonce_that_could_not_be_kept_is_refused(message, nonce, monkeypatch):
    monkeypatch.setattr(signatures.secrets, "token_hex", lambda _: nonce)
    assert refused(send(signed_headers("POST", ACK, message), message), "signature_invalid")


@pytest.mark.parametrize(("seconds", "is_taken"), [(-31, False), (-30, True), (30, True), (31, False)])
def test_a_signature_counts_for_half_a_minute_either_way(seconds, is_taken):
    created = timezone.now().replace(microsecond=0)  # as it stands in the signature
    received = signatures.Received(
        "POST", f"http://counter{ACK}", signed_headers("POST", ACK, b"{}", now=created)
    )
    with (
        nullcontext()
        if is_taken
        else pytest.raises(ApiError, check=lambda error: error.code == "signature_expired")
    ):
        DESK.check(received, b"{}", now=created + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-60, 60, -(10**6), 10**9])
def test_a_signature_of_another_time_is_told_counters(message, seconds):
    headers = signed_headers("POST", ACK, message, now=timezone.now() + timedelta(seconds=seconds))
    response = send(headers, message)
    assert refused(response, "signature_expired")
    assert error_of(response, 401)["detail"]["now"][:13] in {
        (timezone.now() - timedelta(seconds=ago)).isoformat()[:13] for ago in (0, 60)
    }
    assert not UsedNonce.objects.exists()


@pytest.mark.parametrize("seconds", [-10, 10])
def test_clocks_may_differ_a_little(message, seconds):
    headers = signed_headers("POST", ACK, message, now=timezone.now() + timedelta(seconds=seconds))
    assert send(headers, message).status_code == 200


def test_keys_are_exchanged_without_a_stop(message, settings):
    settings.SERVICE_KEY = "old, new"
    by_old = signed_headers("POST", ACK, message, keys=signatures.keys_of("old"))
    by_new = signed_headers("POST", ACK, message, keys=signatures.keys_of("new,old"))
    assert [send(headers, message).status_code for headers in (by_old, by_new)] == [200, 200]
    settings.SERVICE_KEY = "new"
    by_old = signed_headers("POST", ACK, message, keys=signatures.keys_of("old"))
    assert error_of(send(by_old, message), 401)["code"] == "signature_invalid"


def test_of_many_copies_at_once_one_is_taken(message):
    headers, statuses, start = signed_headers("POST", ACK, message), [], threading.Barrier(6)

    def copy():
        try:
            start.wait(10)
            statuses.append(send(headers, message).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=copy) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [200, 401, 401, 401, 401, 401]


def test_old_nonces_are_cleared_away_a_few_with_each_call():
    now, window = timezone.now(), timedelta(seconds=30)
    UsedNonce.objects.bulk_create(
        UsedNonce(nonce=f"{age}", valid_until=now - timedelta(seconds=age)) for age in (0, 29, *range(31, 46))
    )
    for left in (7 + 1, 2 + 2):
        assert nonces.take(f"new {left}", created=now, window=window, now=now)
        assert UsedNonce.objects.count() == left
