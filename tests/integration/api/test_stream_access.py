"""Who may listen to the stream program, and who hears nothing."""

import re

import pytest
import requests
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from cockpit import snapshot
from counter.models import Account, ApiKey, StreamProcess
from tests.support.api import error_of
from tests.support.api_keys import SigningCaller
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.listening import Listening, listening, token_of
from tests.support.public_ids import rows
from tests.support.settling import settle
from tests.support.web import SOON
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stream(transactional_db, programs):
    """As in test_stream.py, which it is shared with."""
    stale_after = str(settings.QUOTE_STALE_AFTER_SECONDS)
    return programs.stream(SECRET_KEY=settings.SECRET_KEY, QUOTE_STALE_AFTER_SECONDS=stale_after)


def ask(stream, *, headers=None, **query):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(
            f"{stream.url}/api/v1/stream", params=query, headers=headers, timeout=SOON, stream=True
        )


def refusal(answer):
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status_code, answer.json()["error"]["code"]


def test_strangers_are_refused_as_everywhere(stream):
    assert refusal(ask(stream)) == (401, "not_authenticated")
    assert refusal(ask(stream, headers={"Authorization": "Token x"})) == (401, "authentication_failed")
    staff = Token.objects.create(user=get_user_model().objects.create_user("staff")).key
    assert refusal(ask(stream, headers={"Authorization": f"Token {staff}"})) == (403, "customer_required")


@pytest.mark.parametrize(
    "query", [{"channels": "all"}, {"channels": ""}, {"channels": "orders,"}, {"x": "1"}, {"symbols": "a"}]
)
def test_what_cannot_be_listened_to_is_refused(stream, query):
    answer = ask(stream, headers=token_of(make_customer()), **query)
    assert refusal(answer) == (400, "invalid_request")


def test_other_addresses_and_methods_are_refused(stream):
    headers = token_of(make_customer())
    assert refusal(requests.get(f"{stream.url}/api/v1/orders", headers=headers, timeout=SOON)) == (
        404,
        "not_found",
    )
    posted = requests.post(f"{stream.url}/api/v1/stream", headers=headers, timeout=SOON)
    assert refusal(posted) == (405, "method_not_allowed")
    accepting = headers | {"Accept": "text/event-stream"}
    asked = requests.options(f"{stream.url}/api/v1/stream", headers=accepting, timeout=SOON)
    assert refusal(asked) == (405, "method_not_allowed")
    assert requests.head(f"{stream.url}/api/v1/stream", headers=headers, timeout=SOON).status_code == 200
    assert requests.get(f"{stream.url}/readyz", timeout=SOON).json()["ready"] is True


def test_a_session_listens_until_it_is_logged_out(stream):
    customer = make_customer()
    browser = Client()
    browser.force_login(customer.user)
    cookie = f"sessionid={browser.cookies['sessionid'].value}"
    with_origin = {"Cookie": cookie, "Accept": "text/event-stream", "Origin": "http://127.0.0.1:1"}
    heard = Listening(stream.url, headers=with_origin)
    assert heard.answer.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:1"
    assert heard.answer.headers["Access-Control-Allow-Credentials"] == "true"
    heard.hears(lambda it: it.of("snapshot"))
    browser.logout()
    assert heard.hears(lambda it: it.of("end"))[0]["code"] == "revoked"
    assert wait_until(lambda: heard.is_over, within_seconds=SOON)
    heard.close()


def test_a_signed_request_listens_until_its_key_is_revoked(stream):
    customer = make_customer()
    robot = SigningCaller(customer, scopes=("read",))
    target = "/api/v1/stream?channels=balance"
    heard = Listening(stream.url, headers=robot.headers("GET", target), channels="balance")
    heard.hears(lambda it: it.of("snapshot"))
    assert refusal(ask(stream, headers=token_of(customer) | {"X-API-Key": "unknown"})) == (
        401,
        "signature_invalid",
    )
    ApiKey.objects.filter(customer=customer).update(revoked_at=timezone.now())
    assert heard.hears(lambda it: it.of("end"))[0]["code"] == "revoked"
    heard.close()


def test_the_web_program_sends_listeners_on(client, settings):
    settings.STREAM_URL = "http://127.0.0.1:1"
    answer = client.get("/api/v1/stream?channels=orders")
    assert (answer.status_code, answer["Location"]) == (
        307,
        "http://127.0.0.1:1/api/v1/stream?channels=orders",
    )
    settings.STREAM_URL = ""
    assert error_of(client.get("/api/v1/stream"), 401)["code"] == "not_authenticated"
    found = client.get("/api/v1/stream", headers=token_of(make_customer()))
    assert error_of(found, 404)["code"] == "not_found"


def test_pages_of_others_may_not_read_it(stream):
    headers = token_of(make_customer()) | {"Origin": "https://elsewhere.example"}
    assert "Access-Control-Allow-Origin" not in ask(stream, headers=headers).headers


def test_a_revoked_token_is_cut_off(stream):
    revoked, other = make_customer(), make_customer()
    with listening(stream.url, revoked) as heard, listening(stream.url, other) as others:
        heard.hears(lambda it: it.of("snapshot"))
        Token.objects.filter(user=revoked.user).delete()
        assert heard.hears(lambda it: it.of("end"), within=10)[0]["code"] == "revoked"
        place_open(other, make_option())
        assert others.hears(lambda it: it.of("order"))
        assert not others.of("end")


def test_a_customer_has_ten_streams_at_once(stream):
    customer, headers = make_customer(), None
    opened = [Listening(stream.url, headers=headers or (headers := token_of(customer))) for _ in range(10)]
    try:
        refused = ask(stream, headers=headers)
        assert refusal(refused) == (429, "too_many_streams")
        with listening(stream.url, make_customer()) as other:
            assert other.hears(lambda it: it.of("snapshot"))
        opened.pop().close()
        assert wait_until(lambda: ask(stream, headers=headers).status_code == 200, within_seconds=SOON)
    finally:
        for each in opened:
            each.close()


def test_nobody_hears_what_is_anothers(stream):
    option, customers = make_option(), [make_customer(), make_customer()]
    streams = [Listening(stream.url, headers=token_of(customer)) for customer in customers for _ in range(2)]
    try:
        for each in streams:
            each.hears(lambda it: it.of("snapshot"))
        placed = {customer.pk: [] for customer in customers}
        for number in range(12):
            customer = customers[number % 5 % 2]
            order = place_open(customer, option)
            placed[customer.pk].append(order.id)
            if number % 3 == 0:
                placed[customer.pk].append(place_close(order, contracts=1).id)
            settle(order)
        for each, customer in zip(streams, [c for c in customers for _ in range(2)], strict=True):
            own = placed[customer.pk]
            each.hears(lambda it, own=own: set(own) <= set(rows(order["id"] for order in it.of("order"))))
            assert set(rows(order["id"] for order in each.of("order"))) == set(own)
            assert set(rows(position["id"] for position in each.of("position"))) <= set(own)
            held = str(Account.objects.get(customer=customer).balance)
            assert each.hears(lambda it, held=held: it.of("balance")[-1]["balance"] == held)
    finally:
        for each in streams:
            each.close()


@pytest.mark.django_db(transaction=True, databases=["default", "desk"])
def test_who_listens_is_shown_to_who_watches(stream, client):
    with listening(stream.url, make_customer()) as heard:
        heard.hears(lambda it: it.of("snapshot"))
        assert wait_until(lambda: StreamProcess.objects.filter(listeners=1).exists(), within_seconds=SOON)
        snapshot.shared.forget()
        shown = client.get("/metrics").content.decode()
    # Other programs that tests share may be running beside it.
    assert re.search(r"^crossbook_stream_processes [1-9]\d*\.0$", shown, re.MULTILINE)
    assert re.search(r"crossbook_stream_listeners\{process=\".+\"\} 1.0", shown)
