"""Customers' signed requests, through both doors: only the very bytes that were signed, in time, once."""

import json
import threading
import time
from datetime import timedelta

import pytest
from cachetools import TTLCache
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from counter.access import api_keys, failed_credentials
from counter.access.admission import Admissions, Asking, Replayed, SignatureUse, admissions
from counter.api import signed_requests
from counter.api.auth import REMEMBERED_FOR_SECONDS
from counter.models import ApiKey, SyncOrder, UsedNonce
from tests.support.api import error_of
from tests.support.api_keys import SigningCaller, signed_headers
from tests.support.asgi import AsgiClient

ORDERS, ACCOUNTS = "/api/v1/orders", "/api/v1/accounts"


@pytest.fixture(params=["framework", "fast_path"])
def new_signer(request, new_caller):
    def make(**options):
        return SigningCaller(new_caller().customer, door=request.param, **options)

    return make


@pytest.fixture
def signer(new_signer):
    return new_signer()


@pytest.fixture
def order(option):
    return json.dumps(
        {"type": "open", "client_order_id": "o", "symbol": option.symbol, "contracts": 1}
    ).encode()


def refused(response, status, code):
    error = error_of(response, status)
    assert error["code"] == code
    assert not SyncOrder.objects.exists()
    return error


# --- what is signed -------------------------------------------------------------------------------------------------


def test_a_signed_order_is_placed_and_read(signer, order):
    placed = signer.post(ORDERS, order)
    assert placed.status_code == 201
    found = signer.get(f"{ORDERS}?client_order_id=o&limit=1")
    assert [each["id"] for each in found.json()["results"]] == [placed.json()["id"]]


def test_an_order_that_is_signed_anew_finds_the_first(signer, order):
    first, again = signer.post(ORDERS, order), signer.post(ORDERS, order, recv_window=4999)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Idempotent-Replayed"] == "true"


def test_one_wrong_byte_anywhere_is_refused(signer, order, monkeypatch):
    monkeypatch.setattr(failed_credentials, "HELD_BACK_SECONDS", 0.0)  # or the price is too old by the end
    headers = signer.headers("POST", ORDERS, order, recv_window=60_000)
    for place in range(len(order)):
        changed = bytearray(order)
        changed[place] ^= 1
        refused(signer.send(ORDERS, bytes(changed), headers), 401, "signature_invalid")
    refused(signer.send(ORDERS, order + b" ", headers), 401, "signature_invalid")
    assert not UsedNonce.objects.exists()
    assert signer.send(ORDERS, order, headers).status_code == 201


@pytest.mark.parametrize(
    ("method", "target", "others"),
    [
        ("PUT", ORDERS, {}),
        ("post", ORDERS, {}),
        ("POST", f"{ORDERS}/batch", {}),
        ("POST", f"{ORDERS}?a=1", {}),
        ("POST", ORDERS, {"X-API-Recv-Window": "5000"}),
        ("POST", ORDERS, {"X-API-Signature": "0" * 64}),
    ],
    ids=repr,
)
def test_a_signature_of_something_else_is_refused(signer, order, method, target, others):
    headers = signer.headers(method, target, order) | others
    refused(signer.send(ORDERS, order, headers), 401, "signature_invalid")


def test_another_keys_secret_does_not_fit(signer, new_signer, order):
    headers = signed_headers(signer.key.public_id, new_signer().secret, "POST", ORDERS, order)
    response = signer.send(ORDERS, order, headers)
    refused(response, 401, "signature_invalid")
    assert response["WWW-Authenticate"] == "ApiKey, Token"


@pytest.mark.parametrize("key", ["", "x", "cbk_" + "0" * 24, "é", "a\x00b", "x" * 5000])
def test_an_unknown_key_is_refused(signer, order, key):
    headers = signer.headers("POST", ORDERS, order) | {"X-API-Key": key}
    refused(signer.send(ORDERS, order, headers), 401, "signature_invalid")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        *(
            ("X-API-Timestamp", value)
            for value in ("", "1", "-1764000000000", "17640000000000", "1764000000.000")
        ),
        *(
            ("X-API-Timestamp", value)
            for value in ("x" * 13, "１７６４００００００００".encode().decode("latin-1"))
        ),
        *(("X-API-Recv-Window", value) for value in ("0", "05000", "60001", "99999", "5000.0", "5e3")),
        *(("X-API-Signature", value) for value in ("", "0" * 63, "0" * 65, "G" * 64, "A" * 64)),
    ],
    ids=repr,
)
def test_headers_that_cannot_be_read_are_named(signer, order, header, value):
    headers = signer.headers("POST", ORDERS, order) | {header: value}
    assert refused(signer.send(ORDERS, order, headers), 400, "invalid_request")["detail"] == {
        "header": header
    }


@pytest.mark.parametrize(("query", "status"), [("a=%C3%A9&b=+%2B", 200), ("a=%c3%a9&b=+%2B", 401)])
def test_a_query_is_signed_as_it_was_sent(signer, query, status):
    headers = signer.headers("GET", f"{ACCOUNTS}?a=%C3%A9&b=+%2B")
    assert AsgiClient().request("GET", ACCOUNTS, query=query, headers=headers).status_code == status


# --- when -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago_ms", "recv_window"),
    [(4000, None), (0, 60_000), (50_000, 60_000), (-700, None), (-700, 1)],
)
def test_within_its_window_a_request_is_taken(signer, order, ago_ms, recv_window):
    at_ms = int(time.time() * 1000) - ago_ms
    assert signer.post(ORDERS, order, at_ms=at_ms, recv_window=recv_window).status_code == 201


@pytest.mark.parametrize(
    ("ago_ms", "recv_window"), [(6000, None), (2000, 1000), (61_000, 60_000), (-2000, None), (-2000, 60_000)]
)
def test_before_and_after_its_window_it_is_refused_with_our_clock(signer, order, ago_ms, recv_window):
    at_ms = int(time.time() * 1000) - ago_ms
    response = signer.post(ORDERS, order, at_ms=at_ms, recv_window=recv_window)
    told = refused(response, 401, "signature_expired")["detail"]["now"]
    assert abs(timezone.datetime.fromisoformat(told) - timezone.now()) < timedelta(seconds=10)
    assert not UsedNonce.objects.exists()


# --- once -----------------------------------------------------------------------------------------------------------


def test_a_request_that_is_sent_again_is_refused(signer, order):
    headers = signer.headers("POST", ORDERS, order)
    assert signer.send(ORDERS, order, headers).status_code == 201
    assert error_of(signer.send(ORDERS, order, headers), 401)["code"] == "signature_replayed"
    read = signer.headers("GET", ACCOUNTS)
    answers = [AsgiClient().request("GET", ACCOUNTS, headers=read).status_code for _ in range(2)]
    assert answers == [200, 401]


def test_an_order_that_was_refused_is_not_placed_by_its_copy(signer, option):
    body = json.dumps(
        {"type": "open", "client_order_id": "o", "symbol": option.symbol, "contracts": 1, "max_cost": "1"}
    ).encode()
    headers = signer.headers("POST", ORDERS, body)
    assert error_of(signer.send(ORDERS, body, headers), 409)["code"] == "price_moved"
    refused(signer.send(ORDERS, body, headers), 401, "signature_replayed")


def test_of_many_copies_at_once_one_is_taken(signer, order):
    headers, statuses, start = signer.headers("POST", ORDERS, order), [], threading.Barrier(8)

    def copy():
        try:
            start.wait(10)
            statuses.append(signer.send(ORDERS, order, headers).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=copy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [201] + [401] * 7


def test_signatures_are_forgotten_some_time_after_their_window(transactional_db):
    now = [timezone.now()]
    made = Admissions(clock=lambda: now[0])

    def take(signature, seconds):
        use = SignatureUse(signature, 1, now[0] + timedelta(seconds=seconds))
        made.admit(Asking(use=use))
        made.stop()  # when it has ended, it has cleared away

    try:
        take("a", 5)
        take("b", 60)
        now[0] += timedelta(seconds=14)
        take("c", 5)
        assert set(UsedNonce.objects.values_list("nonce", flat=True)) == {"a", "b", "c"}
        now[0] += timedelta(seconds=2)
        take("d", 5)
        assert set(UsedNonce.objects.values_list("nonce", flat=True)) == {"b", "c", "d"}
        with pytest.raises(Replayed):
            take("b", 60)
    finally:
        made.stop()


def test_without_a_word_about_the_signature_nothing_is_done(signer, order):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE counter_usednonce RENAME TO gone")
    try:
        refused(signer.post(ORDERS, order), 503, "unavailable")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO counter_usednonce")
    assert signer.post(ORDERS, order).status_code == 201


# --- who, what for, and from where ----------------------------------------------------------------------------------


def test_scopes_are_checked(new_signer, order):
    reading, trading = new_signer(scopes=["read"]), new_signer(scopes=["trade"])
    refused(reading.post(ORDERS, order), 403, "scope_required")
    assert error_of(trading.get(ACCOUNTS), 403)["code"] == "scope_required"
    assert "`read` scope" in error_of(trading.get(ACCOUNTS), 403)["message"]
    assert reading.get(ACCOUNTS).status_code == 200
    assert trading.post(ORDERS, order).status_code == 201


@pytest.mark.parametrize(
    ("networks", "proxies", "peer", "forwarded", "allowed"),
    [
        (["10.0.0.0/8"], [], "10.1.2.3", None, True),
        (["10.0.0.0/8"], [], "11.1.2.3", None, False),
        (["10.1.2.3"], [], "::ffff:10.1.2.3", None, True),
        (["2001:db8::/32"], [], "2001:db8::1", None, True),
        (["2001:db8::/32"], [], "10.1.2.3", None, False),
        (["10.0.0.0/8"], [], "192.0.2.1", "10.1.2.3", False),
        (["10.0.0.0/8"], ["192.0.2.0/24"], "192.0.2.1", "10.1.2.3", True),
        (["10.0.0.0/8"], ["192.0.2.0/24"], "192.0.2.1", "10.1.2.3, 11.1.1.1", False),
        (["10.0.0.0/8"], ["192.0.2.0/24"], "192.0.2.1", "11.1.1.1, 10.1.2.3, 192.0.2.9", True),
        (["10.0.0.0/8"], ["192.0.2.0/24"], "192.0.2.1", "10.1.2.3, nonsense", False),
        (["10.0.0.0/8"], ["192.0.2.0/24"], "192.0.2.1", None, False),
        (["0.0.0.0/0"], [], "unix", None, False),
    ],
)
def test_a_key_counts_only_from_its_networks(
    new_signer, order, settings, networks, proxies, peer, forwarded, allowed
):
    settings.TRUSTED_PROXIES = proxies
    signer = new_signer(networks=networks)
    headers = signer.headers("POST", ORDERS, order)
    if forwarded is not None:
        headers["X-Forwarded-For"] = forwarded
    response = signer.send(ORDERS, order, headers, remote=peer)
    if allowed:
        assert response.status_code == 201
    else:
        refused(response, 403, "ip_not_allowed")


@pytest.mark.parametrize("path", [ORDERS, f"{ORDERS}/batch"])
def test_a_header_with_underscores_names_no_address(new_signer, order, settings, path):
    """Of the two spellings WSGI makes one header; proxies know only the other one."""
    settings.TRUSTED_PROXIES = ["192.0.2.0/24"]
    signer = new_signer(networks=["10.0.0.0/8"])
    body = order if path == ORDERS else b'{"orders": [%s]}' % order
    for unusual in ({}, {"Content-Type": "application/json; charset=utf-8"}):
        headers = signer.headers("POST", path, body) | unusual
        headers |= {"X-Forwarded-For": "11.1.1.1", "X_Forwarded_For": "10.1.2.3"}
        response = AsgiClient(headers=headers, peer="192.0.2.1").post(path, body, headers=unusual)
        refused(response, 403, "ip_not_allowed")


def test_a_revoked_key_is_out_at_once_and_its_label_stays(signer, order):
    assert signer.get(ACCOUNTS).status_code == 200
    api_keys.revoke(signer.key, now=timezone.now())
    refused(signer.post(ORDERS, order), 401, "signature_invalid")
    assert ApiKey.objects.get().label == "bot"


def test_a_key_revoked_by_another_process_is_out_within_five_seconds(signer, order, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(
        signed_requests._holders, "_known", TTLCache(10, REMEMBERED_FOR_SECONDS, timer=lambda: now[0])
    )
    assert signer.get(ACCOUNTS).status_code == 200
    ApiKey.objects.update(revoked_at=timezone.now())  # past the signals of this process
    assert signer.get(ACCOUNTS).status_code == 200
    now[0] = REMEMBERED_FOR_SECONDS
    refused(signer.post(ORDERS, order), 401, "signature_invalid")


def test_an_expired_key_and_a_user_who_is_not_active_are_out(new_signer, order):
    expired = new_signer(expires_at=timezone.now() - timedelta(seconds=1))
    refused(expired.post(ORDERS, order), 401, "authentication_failed")
    signer = new_signer()
    assert signer.get(ACCOUNTS).status_code == 200
    user = get_user_model().objects.get(pk=signer.customer.user_id)
    user.is_active = False
    user.save()
    refused(signer.post(ORDERS, order), 401, "signature_invalid")


def test_a_key_speaks_for_its_customer_though_a_token_comes_along(signer, another, order):
    headers = signer.headers("POST", ORDERS, order) | {"Authorization": f"Token {another.token}"}
    assert signer.send(ORDERS, order, headers).status_code == 201
    assert SyncOrder.objects.get().customer_id == signer.customer.pk


def test_its_last_use_is_noted_once_a_minute(signer, order):
    signer.post(ORDERS, order)
    first = _last_use(signer)
    signer.get(ACCOUNTS)
    assert first is not None
    assert _last_use(signer) == first


def _last_use(signer):
    admissions.stop()  # when it has ended, it has noted
    return ApiKey.objects.get(pk=signer.key.pk).last_used_at


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["framework", "fast_path"])
def test_tokens_can_be_switched_off(settings, new_caller, order, door):
    caller = new_caller(door=door)
    settings.API_TOKENS = False
    assert error_of(caller.get("accounts"), 401)["code"] == "authentication_failed"
    refused(caller.post("orders", order), 401, "authentication_failed")
