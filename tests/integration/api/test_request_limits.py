"""Requests a second, by customer and by key, as answers tell them; orders have limits of their own."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from counter.models import Pace, SyncOrder
from tests.support.api import error_of
from tests.support.api_keys import SigningCaller

ORDERS, ACCOUNTS = "/api/v1/orders", "/api/v1/accounts"
HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@pytest.fixture(autouse=True)
def three_at_once(settings):
    settings.REQUESTS_PER_SECOND, settings.REQUESTS_AT_ONCE = 1, 3


@pytest.fixture
def order(option):
    return json.dumps(
        {"type": "open", "client_order_id": "o", "symbol": option.symbol, "contracts": 1}
    ).encode()


NOBODYS = f"pos_{'0' * 32}"


def told(response):
    return tuple(int(response[name]) for name in HEADERS)


def test_every_answer_tells_what_is_left_and_too_many_are_429(caller):
    answers = [caller.get("accounts"), caller.get(f"positions/{NOBODYS}"), caller.get("quotes", nothing="1")]
    assert [answer.status_code for answer in answers] == [200, 404, 400]
    assert [told(answer) for answer in answers] == [(3, 2, 1), (3, 1, 2), (3, 0, 3)]
    refused = caller.get("accounts")
    assert error_of(refused, 429)["code"] == "throttled"
    assert told(refused) == (3, 0, 3)
    assert refused["Retry-After"] == "1"


def test_a_customer_has_one_limit_for_token_key_and_browser(caller):
    signer = SigningCaller(caller.customer)
    browser = Client()
    browser.force_login(caller.customer.user)
    assert caller.get("accounts").status_code == 200
    assert signer.get(ACCOUNTS).status_code == 200
    assert browser.get(ACCOUNTS).status_code == 200
    for answer in (caller.get("accounts"), signer.get(ACCOUNTS), browser.get(ACCOUNTS)):
        assert answer.status_code == 429


def test_another_customer_is_not_slowed_down(caller, another):
    assert [caller.get("accounts").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert another.get("accounts").status_code == 200


def test_strangers_use_up_nobodys_limit(caller):
    for _ in range(5):
        assert Client(headers={"X-API-Key": "cbk_1"}).get(ACCOUNTS).status_code == 401
    assert not Pace.objects.exists()


def test_a_request_that_is_sent_again_uses_nothing_up(caller):
    signer = SigningCaller(caller.customer)
    headers = signer.headers("GET", ACCOUNTS)
    assert [Client().get(ACCOUNTS, headers=headers).status_code for _ in range(4)] == [200, 401, 401, 401]
    assert told(signer.get(ACCOUNTS))[1] == 1


@pytest.mark.parametrize("door", ["framework", "fast_path"])
def test_orders_do_not_count_against_the_customers_requests(new_caller, order, door):
    caller = new_caller(door=door)
    assert [caller.post("orders", order).status_code for _ in range(5)] == [201] * 5
    assert told(caller.get("accounts"))[1] == 2


@pytest.mark.parametrize("door", ["framework", "fast_path"])
def test_a_keys_own_limit_counts_orders_too(new_caller, order, door):
    signer = SigningCaller(new_caller().customer, door=door, requests_per_second=2)
    first = signer.post(ORDERS, order)
    assert (first.status_code, told(first)) == (201, (2, 1, 1))
    assert signer.post(ORDERS, b"{}").status_code == 400
    refused = signer.post(ORDERS, order)
    assert error_of(refused, 429)["code"] == "throttled"
    assert (told(refused), refused["Retry-After"]) == ((2, 0, 1), "1")
    assert SyncOrder.objects.count() == 1
    other = SigningCaller(signer.customer, door=door)
    assert other.post(ORDERS, order).status_code == 201


@pytest.mark.parametrize("door", ["framework", "fast_path"])
def test_an_order_that_is_refused_tells_them_as_well(new_caller, door):
    signer = SigningCaller(new_caller().customer, door=door, requests_per_second=9)
    assert told(signer.post(ORDERS, b"[]")) == (9, 8, 1)


# --- the page's session ---------------------------------------------------------------------------------------------


def test_staff_without_an_account_are_told_so_and_nothing_is_counted(db):
    browser = Client()
    browser.force_login(get_user_model().objects.create_user("ann", is_staff=True))
    before = list(Pace.objects.order_by("subject").values())
    for path in (ACCOUNTS, ORDERS):
        assert error_of(browser.get(path), 403)["code"] == "customer_required"
    assert list(Pace.objects.order_by("subject").values()) == before


def test_a_session_places_with_its_csrf_token_only(caller, order):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(caller.customer.user)
    for header in ({}, {"X-CSRFToken": "x" * 32}):
        answer = browser.post(ORDERS, order, content_type="application/json", headers=header)
        assert error_of(answer, 403)["code"] == "permission_denied"
    browser.cookies["csrftoken"] = "c" * 32
    given = {"X-CSRFToken": "c" * 32}
    assert browser.post(ORDERS, order, content_type="application/json", headers=given).status_code == 201
