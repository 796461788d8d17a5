"""The front page leads to every door, and staff see nothing to press that answers 403."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import urljoin, urlsplit

import msgspec
import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from acceptance.models import Conflict
from counter.models import Customer, Expiry
from counter.money.withdrawals import reserve
from counter.trading.switches import make_missing
from settlement.intervention_pages import timed_venue
from settlement.models import Conversion, FundsTransfer, ReconciliationBreak, VenueHalt
from tests.support.desk_bench import event
from tests.support.factories import make_customer, make_option, place_open
from tests.support.staff import staff

MOST_PAGES = 400
ROWS_OF_A_KIND = 2  # of other pages, one of a kind: what a list shows when asked otherwise leads nowhere else


def html_of(page):
    """What a page shows; files have none, but are read to their end."""
    whole = b"".join(page.streaming_content) if page.streaming else page.content
    return whole.decode() if page.headers.get("Content-Type", "").startswith("text/html") else ""


def links_of(page, address):
    """Addresses of this site that a page leads to, without its files."""
    for href in re.findall(r'<a\b[^>]*\bhref="([^"#]+)"', html_of(page)):
        parts = urlsplit(urljoin(address, unescape(href)))
        if not parts.netloc and not parts.path.startswith("/static/"):
            yield f"{parts.path}?{parts.query}" if parts.query else parts.path


def walked(client, start):
    """The pages below an address that can be reached from it by links, a few of each kind."""
    found, seen, waiting = {}, {}, [start]
    while waiting and len(found) < MOST_PAGES:
        address = waiting.pop(0)
        kind = re.sub(r"\d+", "N", address.partition("?")[0])
        if address in found or seen.get(kind, 0) >= (ROWS_OF_A_KIND if "N" in kind else 1):
            continue
        seen[kind] = seen.get(kind, 0) + 1
        found[address] = client.get(address)
        waiting += [led for led in links_of(found[address], address) if led.startswith(start)]
    return found


def buttons_of(page, address):
    """Where the forms of a page that have a button to send them with are sent to, but for logging out."""
    for form in re.findall(r"<form\b.*?</form>", html_of(page), re.DOTALL):
        head = form[: form.index(">")]
        if 'method="post"' in head and 'type="submit"' in form and "logout" not in head:
            action = re.search(r'action="([^"]*)"', head)
            yield urljoin(address, unescape(action[1]) if action else "")


@pytest.mark.django_db(databases=["default", "desk"])
def test_the_front_page_leads_to_the_trade_page_the_admin_and_the_api():
    page = Client().get("/")
    assert page.status_code == 200
    led = set(links_of(page, "/"))
    assert led == {"/trade/", "/admin/", "/api/docs", "/api/schema"}
    for address in led:
        assert Client().get(address, follow=True).status_code == 200, address
    assert Client().post("/").status_code == 405


def test_the_front_page_asks_no_database():
    assert Client().get("/").status_code == 200


@pytest.mark.django_db(databases=["default", "desk"])
def test_who_logs_in_at_the_admins_door_is_in_the_admin():
    get_user_model().objects.create_user("ann", password="long and secret", is_staff=True)
    client = Client()
    answer = client.post("/admin/login/", {"username": "ann", "password": "long and secret"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200


def rows_that_people_act_on():
    """One of each kind that has operations in the admin, in a state that offers them."""
    now = timezone.now()
    customer = make_customer()
    place_open(customer, make_option())
    reserve(customer_id=customer.pk, amount=Decimal(10), reference="w-1", now=now)
    make_missing(now=now)
    Expiry.objects.create(
        underlying="BTC", expires_at=now - timedelta(hours=1), why="the record has a gap", taken_at=now
    )
    amounts = dict.fromkeys(("bought", "sold", "crossed", "carry_in_coin", "carry_in_usdt", "quantity"), 1)
    for state in ("UNKNOWN", "MANUAL", "FILLED", "RETRY_WAIT"):
        Conversion.objects.create(
            **amounts,
            underlying="BTC",
            state=state,
            side="buy",
            order_count=1,
            reference_price=90_000,
            client_order_id=state,
            planned_at=now,
        )
    for asset, state in (("BTC", "UNKNOWN"), ("ETH", "MANUAL")):
        FundsTransfer.objects.create(
            asset=asset, direction="to_trading", amount=1, state=state, planned_at=now
        )
    VenueHalt.objects.create(venue="binance", reason="bad key", began_at=now, ask_at=now)
    received = msgspec.to_builtins(event())
    Conflict.objects.create(
        source="crossbook", order_id=7, reason="other_content", received=received, digest="x", noted_at=now
    )
    ReconciliationBreak.objects.create(
        what="trade belongs to no conversion",
        where="trade 1",
        detail="1 BTC",
        since=now,
        found_at=now,
        seen_at=now,
    )


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
@pytest.mark.usefixtures("sessions_remembered")
@pytest.mark.django_db(databases=["default", "desk"])
def test_no_link_and_no_button_that_staff_see_is_refused(role, venue, monkeypatch):
    monkeypatch.setattr(timed_venue, "venue", lambda: venue)  # pages look at its markets beforehand
    rows_that_people_act_on()
    client = staff("vera", role=role)
    pages = walked(client, "/admin/")
    assert len(pages) > 100
    assert f"/admin/counter/customer/{Customer.objects.latest('pk').pk}/change/" in pages
    assert {address: page.status_code for address, page in pages.items() if page.status_code >= 400} == {}
    forms = {form for address, page in pages.items() for form in buttons_of(page, address)}
    assert bool(forms) is (role == "operator"), "who asks for something, and nobody else"
    refused = {form for form in forms if client.post(form).status_code == 403}
    assert refused == set()


@pytest.mark.django_db(databases=["default", "desk"])
def test_an_empty_list_asks_nobody_to_create_what_cannot_be_created():
    client = staff("vera", role="viewer")
    page = client.get("/admin/counter/withdrawal/").content.decode()
    assert "There are no withdrawals." in page
    assert "Create a new item" not in page
    assert "No row fits" in client.get("/admin/counter/withdrawal/?state__exact=RESERVED").content.decode()
