"""Who gets in, and what the browser is told to load and keep."""

import re
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from counter.api import logins
from counter.models import SyncOrder
from tests.support.asgi import AsgiClient
from tests.support.factories import make_customer, place_open
from tests.support.public_ids import order_id, position_id
from tests.support.visiting import forms_in, words_in

PASSWORD = "correct horse 1"
ADDRESSES = (
    "",
    "chain/",
    "book/",
    "ticket/",
    "history/orders/",
    "history/positions/",
    "history/ledger/",
    "keys/",
)
POSTS = ("quotes/", "orders/")


@pytest.fixture
def customer(transactional_db):
    made = make_customer()
    made.user.set_password(PASSWORD)
    made.user.save()
    return made


def log_in(name, password=PASSWORD, **more):
    client = Client()
    return client, client.post("/trade/login/", {"username": name, "password": password, **more})


def test_customer_logs_in_and_out(customer):
    client, answer = log_in(customer.reference)
    assert (answer.status_code, answer["Location"]) == (302, "/trade/")
    assert customer.reference in client.get("/trade/").content.decode()
    assert client.get("/trade/logout/").status_code == 405
    assert client.post("/trade/logout/")["Location"] == "/trade/login/"
    assert client.get("/trade/").status_code == 302


def test_a_page_that_was_asked_for_is_shown_after_the_login_but_none_of_another_site(customer):
    assert Client().get("/trade/history/ledger/")["Location"] == "/trade/login/?next=/trade/history/ledger/"
    _, answer = log_in(customer.reference, next="/trade/history/ledger/")
    assert answer["Location"] == "/trade/history/ledger/"
    _, answer = log_in(customer.reference, next="https://elsewhere.example/")
    assert answer["Location"] == "/trade/"


def test_a_wrong_password_is_told_without_saying_what_was_wrong(customer):
    unknown = log_in("nobody")[1].content.decode()
    wrong = log_in(customer.reference, "wrong")[1].content.decode()
    told = "Please enter a correct username and password"
    assert told in words_in(unknown)
    assert told in words_in(wrong)
    assert PASSWORD not in log_in("nobody")[1].content.decode()


def test_passwords_cannot_be_guessed_for_long(customer, monkeypatch):
    monkeypatch.setattr(logins, "TRIES_AT_ONCE", 3)
    monkeypatch.setattr(logins, "ADDRESS_AGAIN_AFTER_SECONDS", 3600)
    for _ in range(3):
        assert "correct username" in words_in(log_in(customer.reference, "wrong")[1].content.decode())
    told = words_in(log_in(customer.reference)[1].content.decode())
    assert re.search(r"Too many tries. The next one counts in \d+ seconds.", told)
    assert "Too many tries" in words_in(log_in("somebody-else")[1].content.decode()), "from the same address"


def test_the_page_counts_as_requests_of_the_customer(visitor, settings):
    settings.REQUESTS_PER_SECOND, settings.REQUESTS_AT_ONCE = 1, 3
    answers = [visitor.http.get("/trade/book/") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1]["Retry-After"]) >= 1


def test_a_session_that_ends_before_buy_leads_back_to_the_ticket_and_says_that_nothing_was_bought(
    customer, option
):
    client, _ = log_in(customer.reference)
    html = client.get("/trade/ticket/", {"symbol": option.symbol, "contracts": 2}).content.decode()
    [draft] = forms_in(html, "quotes")
    client.logout()
    for extra, told in (({}, "Nothing was bought or closed."), ({"again": "1"}, "This press did nothing.")):
        sent = {**draft, **extra}
        answer = client.post("/trade/orders/", sent, headers={"HX-Request": "true"})
        login = answer["HX-Redirect"]
        assert told in words_in(client.get(login).content.decode())
    back = client.post(login, {"username": customer.reference, "password": PASSWORD})["Location"]
    [again] = forms_in(client.get(back).content.decode(), "quotes")
    kept = ("symbol", "contracts", "client_order_id")
    assert [again[name] for name in kept] == [draft[name] for name in kept]
    assert not SyncOrder.objects.exists()


def test_staff_are_told_where_their_door_is(transactional_db):
    staff = get_user_model().objects.create_user("staff", password=PASSWORD, is_staff=True)
    _, answer = log_in("staff")
    assert "Staff log in at /admin/" in words_in(answer.content.decode())
    client = Client()
    client.force_login(staff)
    answer = client.get("/trade/")
    assert answer.status_code == 403
    assert "staff has no account to trade with" in words_in(answer.content.decode())


def test_a_header_with_underscores_makes_no_other_address_of_the_one_that_guesses(
    visitor, monkeypatch, settings
):
    """Of the two spellings WSGI makes one header; proxies know only the other one."""
    settings.TRUSTED_PROXIES = ["192.0.2.0/24"]
    monkeypatch.setattr(logins, "TRIES_AT_ONCE", 3)
    monkeypatch.setattr(logins, "ADDRESS_AGAIN_AFTER_SECONDS", 3600)
    proxy, token = AsgiClient(peer="192.0.2.1"), "a" * 32
    told = []
    for number in range(4):
        headers = {"X-Forwarded-For": "11.1.1.1", "X_Forwarded_For": f"12.1.1.{number}"}
        form = urlencode({"username": f"guess-{number}", "password": "x", "csrfmiddlewaretoken": token})
        answer = proxy.post(
            "/trade/login/",
            form,
            "application/x-www-form-urlencoded",
            headers=headers | {"Cookie": f"csrftoken={token}"},
        )
        told.append(words_in(answer.content.decode()))
    assert ["Too many tries" in each for each in told] == [False, False, False, True]


@pytest.mark.parametrize("address", ADDRESSES)
def test_nobody_sees_anything_without_a_login(transactional_db, address):
    assert Client().get(f"/trade/{address}")["Location"].startswith("/trade/login/")
    part = Client().get(f"/trade/{address}", headers={"HX-Request": "true"})
    assert (part.status_code, part["HX-Redirect"]) == (401, "/trade/login/?next=/trade/&ended=session")
    seen = {"HX-Request": "true", "HX-Current-URL": "http://testserver/trade/?coin=ETH"}
    part = Client().get(f"/trade/{address}", headers=seen)
    assert part["HX-Redirect"] == "/trade/login/?next=/trade/%3Fcoin%3DETH&ended=session"


@pytest.mark.parametrize("address", POSTS)
def test_nothing_is_posted_without_a_login_or_without_the_forms_token(visitor, option, address):
    fields = {"symbol": option.symbol, "contracts": "1", "client_order_id": "page-1"}
    back = f"/trade/login/?next=/trade/%3Fsymbol%3D{option.symbol}%26contracts%3D1%26client_order_id%3Dpage-1"
    assert Client().post(f"/trade/{address}", fields)["Location"] == f"{back}&ended=order"
    assert Client().post(f"/trade/{address}")["Location"] == "/trade/login/?next=/trade/"
    assert visitor.http.post(f"/trade/{address}", fields).status_code == 403
    assert visitor.http.get(f"/trade/{address}").status_code == 405


@pytest.mark.parametrize("address", [*ADDRESSES, "login/"])
def test_no_answer_is_kept_or_runs_a_script_of_its_own(visitor, option, address):
    answer = visitor.http.get(f"/trade/{address}")
    assert answer["Cache-Control"] == "no-store"
    assert "script-src 'self';" in answer["Content-Security-Policy"]
    html = answer.content.decode()
    assert "<script>" not in html
    assert " style=" not in html
    assert " onclick=" not in html


def test_what_another_customer_has_is_not_there(visitor, another, option):
    order = place_open(another.customer, option)
    for address, query in (
        (f"orders/{order_id(order.id)}/", {}),
        ("orders/outcome/", {"client_order_id": order.client_order_id}),
    ):
        answer = visitor.http.get(f"/trade/{address}", query_params=query)
        assert answer.status_code in (204, 404)
    assert option.symbol not in visitor.get("ticket/", position=position_id(order.position_id))
    for page in ("book/", "history/orders/", "history/positions/", "history/ledger/", "keys/"):
        assert option.symbol not in visitor.get(page)
        assert f"order {order_id(order.id)}" not in words_in(visitor.get(page))


def test_another_customers_position_is_not_closed(visitor, another, option):
    order = place_open(another.customer, option)
    own = visitor.firm(option)
    fields = {**own, "position": position_id(order.position_id), "payout": "at_fill"}
    fields.pop("symbol"), fields.pop("quote_id")
    for address in ("quotes", "orders"):
        assert visitor.send(address, fields).status_code == 404
    assert "1 contract 22.62" in words_in(another.get("book/"))
