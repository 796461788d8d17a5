"""Customers' webhook endpoints by the API: their own only, a few of them, and their secrets once."""

import json
import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from counter.access import webhook_endpoints
from counter.api.webhook_messages import EventType
from counter.events import TYPES
from counter.models import WebhookDelivery, WebhookEndpoint
from tests.support.api import Caller, error_of
from tests.support.api_keys import SigningCaller
from tests.support.factories import make_customer

pytestmark = pytest.mark.django_db

PATH = "webhook-endpoints"
URL = "https://bot.example.org/crossbook"


@pytest.fixture
def caller():
    return Caller(make_customer())


def register(caller, **asked):
    response = caller.post(PATH, {"url": URL, **asked})
    assert response.status_code == 201, response.content
    return response.json()


def change(caller, public_id, body):
    return caller.http.patch(f"/api/v1/{PATH}/{public_id}", json.dumps(body), content_type="application/json")


def ids(caller):
    return [each["id"] for each in caller.get(PATH).json()["results"]]


def test_an_endpoint_is_registered_listed_stopped_and_deleted(caller):
    made = register(caller, types=["payout.credited", "order.settled"], label="bot é 7")
    assert made["types"] == ["order.settled", "payout.credited"]
    [listed] = caller.get(PATH).json()["results"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    off = change(caller, made["id"], {"enabled": False}).json()
    assert (off["enabled"], off["disabled_by"]) == (False, "customer")
    on = change(caller, made["id"], {"enabled": True}).json()
    assert on == listed
    gone = caller.http.delete(f"/api/v1/{PATH}/{made['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert ids(caller) == []
    error_of(caller.http.delete(f"/api/v1/{PATH}/{made['id']}"), 404)
    row = WebhookEndpoint.objects.get()
    assert row.encrypted_secret == ""


def test_a_secret_is_told_once_and_kept_encrypted(caller, caplog):
    caplog.set_level(logging.DEBUG)
    made = register(caller)
    rotated = caller.post(f"{PATH}/{made['id']}/secret", b"")
    assert rotated.status_code == 200
    assert rotated["Cache-Control"] == "no-store"
    told = [made["secret"], rotated.json()["secret"]]
    assert len(set(told)) == 2
    assert all(secret.startswith("whsec_") for secret in told)
    listed = caller.get(PATH).content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM counter_webhookendpoint AS t")
        kept = "".join(row for (row,) in cursor.fetchall())
    for secret in told:
        for text in (
            listed,
            kept,
            caplog.text,
            repr(webhook_endpoints.Registered(WebhookEndpoint(), secret)),
        ):
            assert secret.removeprefix("whsec_") not in text


def test_of_anothers_endpoints_nothing_is_seen_and_nothing_changed(caller):
    made = register(caller)
    exchange = webhook_endpoints.register(customer_id=None, url=URL, now=timezone.now()).endpoint
    other = Caller(make_customer())
    assert ids(other) == []
    for stranger, public_id in ((other, made["id"]), (caller, exchange.public_id), (caller, "x")):
        assert error_of(change(stranger, public_id, {"enabled": False}), 404)["code"] == "not_found"
        error_of(stranger.post(f"{PATH}/{public_id}/secret", b""), 404)
        error_of(stranger.http.delete(f"/api/v1/{PATH}/{public_id}"), 404)
    assert (
        list(WebhookEndpoint.objects.values_list("disabled", "encrypted_previous", "deleted_at"))
        == [("", "", None)] * 2
    )


def test_a_customer_has_so_many_and_no_more(caller, settings):
    settings.WEBHOOK_ENDPOINTS_PER_CUSTOMER = 2
    first, _ = register(caller), register(caller)
    assert error_of(caller.post(PATH, {"url": URL}), 409)["code"] == "too_many_webhook_endpoints"
    register(Caller(make_customer()))
    caller.http.delete(f"/api/v1/{PATH}/{first['id']}")
    register(caller)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "http://bot.example.org/"}, 422, "webhook_url_refused"),
        ({"url": "https://user:secret@bot.example.org/"}, 422, "webhook_url_refused"),
        ({"url": "https://bot.example.org/#part"}, 422, "webhook_url_refused"),
        ({"url": "https://bücher.example/"}, 422, "webhook_url_refused"),
        ({"url": "https://a\\@b.example/"}, 422, "webhook_url_refused"),
        ({"url": "ftp://bot.example.org/"}, 422, "webhook_url_refused"),
        ({"url": "https:///nowhere"}, 422, "webhook_url_refused"),
        ({"url": "https://[::1/"}, 422, "webhook_url_refused"),
        ({"url": "https://bot.example.org/" + "x" * 500}, 400, "invalid_request"),
        ({"url": URL, "types": ["order.placed"]}, 400, "invalid_request"),
        ({"url": URL, "label": "\x00"}, 400, "invalid_request"),
        ({"url": URL, "label": "x" * 65}, 400, "invalid_request"),
        ({"url": URL, "secret": "whsec_mine"}, 400, "invalid_request"),
        (b'{"url": "https://a.example/", "url": "https://b.example/"}', 400, "invalid_request"),
        ({}, 400, "invalid_request"),
    ],
)
def test_what_is_no_endpoint_is_refused(caller, body, status, code):
    assert error_of(caller.post(PATH, body), status)["code"] == code
    assert ids(caller) == []


@pytest.mark.parametrize(("scope", "other"), [("read", "trade"), ("trade", "read")])
def test_a_key_needs_both_scopes_to_hear_what_only_one_of_them_may_read(scope, other):
    customer = make_customer()
    made = register(Caller(customer))
    key, both = SigningCaller(customer, scopes=[scope]), SigningCaller(customer)
    asked = json.dumps({"url": URL}).encode()
    for address, body in ((f"/api/v1/{PATH}", asked), (f"/api/v1/{PATH}/{made['id']}/secret", b"")):
        error = error_of(key.post(address, body), 403)
        assert (error["code"], f"`{other}`" in error["message"]) == ("scope_required", True)
    address = f"/api/v1/{PATH}/{made['id']}"
    for method in ("PATCH", "DELETE"):
        refused = Client().generic(method, address, headers=key.headers(method, address))
        assert error_of(refused, 403)["code"] == "scope_required"
    assert key.get(f"/api/v1/{PATH}").status_code == (200 if scope == "read" else 403)
    assert both.post(f"/api/v1/{PATH}", asked).status_code == 201
    assert WebhookEndpoint.objects.filter(deleted_at=None, encrypted_previous="").count() == 2


def test_enabling_one_that_is_enabled_opens_nothing_that_is_held(caller):
    made = register(caller)
    held = {"failures": 7, "failing_since": timezone.now(), "open_at": timezone.now()}
    WebhookEndpoint.objects.update(**held)
    assert change(caller, made["id"], {"enabled": True}).status_code == 200
    assert WebhookEndpoint.objects.values(*held).get() == held
    WebhookEndpoint.objects.update(disabled="gone")
    assert change(caller, made["id"], {"enabled": True}).json()["enabled"]
    assert WebhookEndpoint.objects.values(*held).get() == {
        "failures": 0,
        "failing_since": None,
        "open_at": None,
    }


def test_disabling_and_enabling_one_does_not_undo_the_distance_from_a_receiver_that_fails(caller):
    made = register(caller)
    held = {"failures": 7, "failing_since": timezone.now(), "open_at": timezone.now() + timedelta(minutes=9)}
    WebhookEndpoint.objects.update(**held)
    for enabled in (False, True):
        assert change(caller, made["id"], {"enabled": enabled}).json()["enabled"] == enabled
    assert WebhookEndpoint.objects.values(*held).get() == held
    row = WebhookEndpoint.objects.get()
    webhook_endpoints.disable(customer_id=row.customer_id, public_id=row.public_id, now=timezone.now())
    webhook_endpoints.enable(customer_id=row.customer_id, public_id=row.public_id, by_staff=True)
    assert WebhookEndpoint.objects.get().open_at is None


def test_a_browser_needs_its_token():
    customer = make_customer()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(customer.user)
    refused = browser.post(f"/api/v1/{PATH}", json.dumps({"url": URL}), content_type="application/json")
    assert error_of(refused, 403)["code"] == "permission_denied"
    assert browser.get(f"/api/v1/{PATH}").json() == {"results": []}


def test_what_staff_have_disabled_the_customer_cannot_enable(caller):
    made = register(caller)
    row = WebhookEndpoint.objects.get()
    webhook_endpoints.disable(
        customer_id=row.customer_id, public_id=row.public_id, by="staff", now=row.created_at
    )
    assert error_of(change(caller, made["id"], {"enabled": True}), 409)["code"] == "webhook_disabled_by_staff"
    assert not WebhookDelivery.objects.exists()


def test_the_schema_knows_every_type():
    [types, *_] = EventType.__origin__.__args__, None
    assert types == TYPES
