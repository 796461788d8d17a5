"""Each address of the API is a view of its kind: who is asked, who reads the body, who writes the answer."""

import gzip
import json
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import get_resolver
from rest_framework.permissions import IsAuthenticated
from rest_framework.settings import DEFAULTS
from rest_framework.test import APIRequestFactory

from counter.api.auth import (
    CustomerSessionAuthentication,
    CustomerTokenAuthentication,
    HasScope,
    IsCustomer,
    ReadsOrIsCustomer,
)
from counter.api.errors import unknown_address
from counter.api.ledger import CsvRenderer
from counter.api.parsers import MessageParser
from counter.api.renderers import MessageRenderer
from counter.api.service_auth import DeskAuthentication, WalletAuthentication
from counter.api.signed_requests import SignedRequestAuthentication
from counter.api.throttling import AdmissionThrottle
from counter.api.views import ApiView
from counter.stream.views import EventStreamRenderer
from tests.support.api import error_of
from tests.support.signing import SignedClient

CUSTOMERS = [SignedRequestAuthentication, CustomerTokenAuthentication, CustomerSessionAuthentication]
KINDS = {
    "api/v1/": (CUSTOMERS, [IsCustomer, HasScope], [AdmissionThrottle]),
    "internal/v1/": ([DeskAuthentication], [IsAuthenticated], []),
    "wallet/v1/": ([WalletAuthentication], [IsAuthenticated], []),
}
MARKET = (CUSTOMERS, [ReadsOrIsCustomer, HasScope], [AdmissionThrottle])
PUBLIC: dict[str, Any] = {
    "api/v1/time": ([], [], []),
    **{f"api/v1/{name}": MARKET for name in ("instruments", "quotes", "greeks", "index")},
}


def addresses(patterns, before=""):
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from addresses(pattern.url_patterns, route)
        else:
            yield route, pattern.callback


def views_below(prefix):
    return {
        route: callback
        for conf in (None, "counter.stream.urls")
        for route, callback in addresses(get_resolver(conf).url_patterns)
        if route.startswith(prefix)
    }


@pytest.mark.parametrize("prefix", KINDS)
def test_each_address_asks_who_calls_as_its_kind_does(prefix):
    found = views_below(prefix)
    assert len(found) >= 7
    for route, callback in found.items():
        view = callback.cls
        assert issubclass(view, ApiView), route
        asked = (view.authentication_classes, view.permission_classes, view.throttle_classes)
        assert tuple(map(list, asked)) == PUBLIC.get(route, KINDS[prefix]), route


def test_there_is_one_parser_and_one_renderer():
    for prefix in KINDS:
        for route, callback in views_below(prefix).items():
            assert list(callback.cls.parser_classes) == [MessageParser], route
            renderers = set(callback.cls.renderer_classes) - {CsvRenderer, EventStreamRenderer}
            assert renderers == {MessageRenderer}, route


def test_what_is_below_them_and_no_view_is_an_unknown_address():
    for prefix in ("api/", "internal/", "wallet/"):
        others = [
            callback
            for route, callback in views_below(prefix).items()
            if not route.startswith(tuple(KINDS)) and not route.startswith(("api/schema", "api/docs"))
        ]
        assert others
        assert {getattr(callback, "__wrapped__", callback) for callback in others} == {unknown_address}


def test_a_view_that_says_nothing_of_who_may_call_lets_in_nobody():
    response = ApiView.as_view()(APIRequestFactory().get("/new"))
    assert error_of(_rendered(response), 401)["code"] == "not_authenticated"


def _rendered(response):
    response.json = lambda: json.loads(response.content)
    return response


def test_no_setting_of_the_framework_says_what_it_does_anyway():
    assert {name for name, value in settings.REST_FRAMEWORK.items() if DEFAULTS[name] == value} == set()


@pytest.mark.django_db
@pytest.mark.parametrize("content_type", ["application/json" + "; x=" + "y" * 300, "APPLICATION/JSON"])
def test_a_type_is_read_and_not_compared(content_type):
    body = json.dumps({"source": settings.COUNTER_SOURCE, "order_ids": []}).encode()
    response = SignedClient().post("/internal/v1/sync-orders/ack", body, content_type)
    assert response.json() == {"acknowledged": 0}


@pytest.mark.django_db
@pytest.mark.parametrize("body", [b"", b"{}"])
@pytest.mark.parametrize(
    "content_type", ["text/plain", "*/*", "application/*", "multipart/form-data; boundary=x", "nonsense"]
)
def test_other_types_are_refused_with_and_without_a_body(content_type, body):
    for path in ("/internal/v1/sync-orders/ack", "/internal/v1/settlements"):
        error = error_of(SignedClient().post(path, body, content_type), 415)
        assert error["code"] == "unsupported_media_type"


def test_a_body_beyond_the_longest_is_refused_by_each_reader(caller):
    """With a token nothing has read it before the parser, which must not go by the stream."""
    long = b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    assert error_of(caller.post("quotes", long), 413)["code"] == "body_too_large"
    assert (
        error_of(SignedClient().post("/internal/v1/sync-orders/ack", long), 413)["code"] == "body_too_large"
    )


def test_a_packed_body_is_refused(caller):
    packed = gzip.compress(b"{}")
    response = caller.http.post(
        "/api/v1/quotes", packed, content_type="application/json", headers={"Content-Encoding": "gzip"}
    )
    assert error_of(response, 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"{}"])
def test_a_session_is_asked_for_its_csrf_token_before_its_body_is_read(caller, body):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(caller.customer.user)
    for address in ("orders", "orders/batch", "quotes"):
        given = {"path": f"/api/v1/{address}", "data": body, "content_type": "application/json"}
        assert error_of(browser.post(**given), 403)["code"] == "permission_denied"
        browser.cookies["csrftoken"] = "c" * 32
        signed = browser.post(**given, headers={"X-CSRFToken": "c" * 32})
        assert error_of(signed, 400)["code"] == error_of(caller.post(address, body), 400)["code"]
        del browser.cookies["csrftoken"]


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-16",
    ],
)
def test_a_session_sends_no_forms_and_none_is_read_for_its_token(caller, content_type):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(caller.customer.user)
    browser.cookies["csrftoken"] = "c" * 32
    token = b"csrfmiddlewaretoken=" + b"c" * 32
    for body in (b"", b"{}", token, b"&".join([token] * 2_000)):
        given = ("POST", "/api/v1/quotes", body, content_type)
        answer = browser.generic(*given, headers={"X-CSRFToken": "c" * 32})
        assert error_of(answer, 415)["code"] == "unsupported_media_type"
        assert error_of(browser.generic(*given), 403)["code"] == "permission_denied"


@pytest.mark.django_db
def test_the_page_of_the_schema_is_read_and_nothing_else():
    assert Client().head("/api/docs").status_code == 200
    assert error_of(Client().options("/api/docs"), 405)["code"] == "method_not_allowed"


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense"])
def test_services_are_always_answered_in_json(accept):
    client = SignedClient(headers={"Accept": accept})
    assert client.get("/internal/v1/sync-orders")["Content-Type"] == "application/json"


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["head", "options", "put", "delete", "patch"])
def test_a_service_is_asked_who_it_is_before_what_it_may(method):
    response = getattr(Client(), method)("/internal/v1/sync-orders")
    assert response.status_code == 401
    assert "Allow" not in response.headers
    assert "WWW-Authenticate" not in response.headers
