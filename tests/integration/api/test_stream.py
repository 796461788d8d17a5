"""The stream program as the stack starts it: what customers hear of their own and of prices."""

import socket
import time
from datetime import timedelta
from itertools import pairwise

import psutil
import pytest
from django.conf import settings
from django.utils import timezone

from counter.models import Account, Position, Quote
from counter.public_ids import Kind, public_id
from tests.support.factories import (
    make_customer,
    make_option,
    make_options,
    make_quote,
    place_close,
    place_open,
)
from tests.support.listening import Listening, listening, token_of
from tests.support.public_ids import order_id, row, rows
from tests.support.settling import settle
from tests.support.web import SOON

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stream(transactional_db, programs):
    stale_after = str(settings.QUOTE_STALE_AFTER_SECONDS)
    return programs.stream(SECRET_KEY=settings.SECRET_KEY, QUOTE_STALE_AFTER_SECONDS=stale_after)


# --- own changes ----------------------------------------------------------------------------------------------------


def test_an_order_is_heard_from_its_opening_to_its_payout(stream):
    customer, option = make_customer(), make_option()
    with listening(stream.url, customer) as heard:
        [first] = heard.hears(lambda it: it.of("snapshot"))
        assert (first["orders"], first["positions"], first["is_whole"]) == ([], [], True)
        assert first["balance"] == {"asset": "USDT", "balance": "100000.000000"}

        opened = place_open(customer, option, contracts=2)
        order = heard.hears(lambda it: it.of("order"))[0]
        assert (row(order["id"]), order["type"], order["state"]) == (opened.id, "open", "pending")
        assert heard.hears(lambda it: it.of("position"))[0]["remaining"] == 2
        assert heard.hears(lambda it: it.of("balance"))[0] != first["balance"]

        settle(opened)
        assert heard.hears(lambda it: it.of("order")[1:])[0]["state"] == "settled"

        closing = place_close(opened, payout="at_fill")
        assert heard.hears(lambda it: it.of("order")[2:])[0]["proceeds"] is None
        assert heard.hears(lambda it: [p for p in it.of("position") if p["state"] == "closing"])
        settle(closing, due="77.5")
        assert heard.hears(lambda it: it.of("order")[3:])[0]["proceeds"] == "77.500000"
        assert heard.hears(lambda it: [p for p in it.of("position") if p["state"] == "closed"])
        held = Account.objects.get(customer=customer).balance
        assert heard.hears(lambda it: it.of("balance")[1:])[-1]["balance"] == str(held)


def test_what_is_heard_is_what_can_be_read(stream, client):
    customer = make_customer()
    opened = place_open(customer, make_option(), contracts=3)
    place_close(opened, contracts=1)

    def read(path):
        return client.get(f"/api/v1/{path}", headers=token_of(customer)).json()["results"]

    with listening(stream.url, customer) as heard:
        [first] = heard.hears(lambda it: it.of("snapshot"))
        assert first["orders"] == read("orders")[::-1]
        assert first["positions"] == read("positions")
        [account] = read("accounts")
        assert first["balance"].items() <= account.items()  # which has the limits besides
        settle(opened)
        assert (
            heard.hears(lambda it: it.of("order"))[-1]
            == read(f"orders?client_order_id={opened.client_order_id}")[0]
        )


def test_a_position_that_expires_without_an_order_is_heard(stream):
    customer, option = make_customer(), make_option()
    position_id = place_open(customer, option).position_id
    option.expires_at = timezone.now() - timedelta(seconds=1)
    option.save()
    with listening(stream.url, customer, channels="positions") as heard:
        [first] = heard.hears(lambda it: it.of("snapshot"))
        assert [position["state"] for position in first["positions"]] == ["open"]
        assert (first["orders"], first["balance"]) == (None, None)
        Position.objects.filter(pk=position_id).update(state="EXPIRED", closed_at=timezone.now())
        assert heard.hears(lambda it: it.of("position"))[0]["state"] == "expired"
        assert {event.name for event in heard.events} <= {"snapshot", "position", "heartbeat"}


def test_a_burst_of_orders_is_heard_whole_and_in_order(stream):
    customer, option = make_customer(balance="10000000"), make_option()
    with listening(stream.url, customer, channels="orders") as heard:
        heard.hears(lambda it: it.of("snapshot"))
        placed = [place_open(customer, option).id for _ in range(60)]
        heard.hears(lambda it: len(it.of("order")) >= 60)
        assert rows(order["id"] for order in heard.of("order")) == placed


def test_a_client_that_reconnects_hears_what_it_missed(stream):
    customer, option = make_customer(), make_option()
    known, expiring = place_open(customer, option), place_open(customer, make_option(days=60))
    settle(expiring)
    with listening(stream.url, customer) as heard:
        heard.hears(lambda it: it.of("snapshot"))
        last_id = heard.last_id
    settle(known)
    missed = place_open(customer, option)
    settle(missed)
    settle(place_close(missed))
    Position.objects.filter(pk=expiring.position_id).update(state="EXPIRED", closed_at=timezone.now())
    with listening(stream.url, customer, last_id=last_id) as heard:
        [first] = heard.hears(lambda it: it.of("snapshot"))
    told = {row(order["id"]): order["state"] for order in first["orders"]}
    assert told.keys() >= {known.id, missed.id}
    assert set(told.values()) == {"settled"}
    states = {row(position["id"]): position["state"] for position in first["positions"]}
    assert states == {
        known.position_id: "open",
        missed.position_id: "closed",
        expiring.position_id: "expired",
    }
    with listening(stream.url, customer) as heard:
        [fresh] = heard.hears(lambda it: it.of("snapshot"))
    assert (fresh["orders"], rows(position["id"] for position in fresh["positions"])) == (
        [],
        [known.position_id],
    )


MARK = public_id(Kind.STREAM_MARK, 1)


@pytest.mark.parametrize(
    "last_id",
    ["", "x", "1", "1-1", f"mrk_{'0' * 32}-1", f"{MARK}-x", f"{MARK}-{'9' * 18}", f"{order_id(1)}-1", "-1-1"],
)
def test_an_id_that_is_not_ours_begins_anew(stream, last_id):
    customer = make_customer()
    order = place_open(customer, make_option())
    with listening(stream.url, customer, last_id=last_id) as heard:
        [first] = heard.hears(lambda it: it.of("snapshot"))
        assert rows(each["id"] for each in first["orders"]) == [order.id]


# --- prices ---------------------------------------------------------------------------------------------------------


def test_quotes_are_heard_whole_then_as_they_change(stream, client):
    customer, btc, eth = make_customer(), make_option(), make_option(underlying="ETH")
    with listening(stream.url, customer, channels="quotes", underlying="BTC") as heard:
        [all_] = heard.hears(lambda it: it.of("quotes"))[:1]
        read = client.get("/api/v1/quotes", {"underlying": "BTC"}, headers=token_of(customer)).json()
        assert all_ == read | {"gone": []}
        make_quote(eth, ask="0.031000")
        make_quote(btc, ask="0.031000")
        change = heard.hears(lambda it: it.of("quotes")[1:])[0]
        assert [(quote["symbol"], quote["ask"]) for quote in change["results"]] == [(btc.symbol, "0.031000")]
        Quote.objects.filter(option=btc).delete()
        assert heard.hears(lambda it: [each for each in it.of("quotes") if each["gone"]])[0]["gone"] == [
            btc.symbol
        ]
        assert not heard.of("snapshot")
        assert heard.last_id == ""


def test_quotes_can_be_chosen_by_symbol_and_expiry(stream):
    customer = make_customer()
    near, far, other = make_option(days=10), make_option(days=50), make_option(days=50, kind="P")
    for query, symbols in (
        ({"symbols": f"{near.symbol},{other.symbol}"}, {near.symbol, other.symbol}),
        ({"expiry": far.expires_at.date().isoformat()}, {far.symbol, other.symbol}),
    ):
        with listening(stream.url, customer, channels="quotes,orders", **query) as heard:
            quotes = heard.hears(lambda it: it.of("quotes"))[0]["results"]
            assert {quote["symbol"] for quote in quotes} == symbols


def test_a_price_that_grows_stale_is_told(stream):
    option = make_option(now=timezone.now() - timedelta(seconds=7))
    with listening(stream.url, make_customer(), channels="quotes", symbols=option.symbol) as heard:
        assert heard.hears(lambda it: it.of("quotes"))[0]["results"][0]["is_stale"] is False
        assert heard.hears(lambda it: [q for c in it.of("quotes") for q in c["results"] if q["is_stale"]])


# --- many, and slow ones --------------------------------------------------------------------------------------------


def test_two_hundred_listeners_all_hear_the_same_change(stream):
    customers, option = [make_customer() for _ in range(20)], make_option()
    streams = [
        Listening(stream.url, headers=token_of(customer), channels="orders,quotes")
        for customer in customers
        for _ in range(10)
    ]
    try:
        for each in streams:
            each.hears(lambda it: it.of("snapshot") and it.of("quotes"))
        make_quote(option, ask="0.042000")
        orders = [place_open(customer, option).id for customer in customers]
        for number, each in enumerate(streams):
            own = orders[number // 10]
            assert each.hears(lambda it: it.of("order"))[0]["id"] == order_id(own)
            assert each.hears(
                lambda it: [q for c in it.of("quotes") for q in c["results"] if q["ask"] == "0.042000"]
            )
    finally:
        for each in streams:
            each.close()


def test_who_does_not_read_is_cut_off_and_costs_no_memory(stream):
    customer = make_customer()
    options = make_options(range(50_000, 450_000, 1_000))
    [process] = psutil.Process(stream.process.pid).children()
    with socket.create_connection(("127.0.0.1", stream.port), timeout=SOON) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        token = token_of(customer)["Authorization"]
        slow.sendall(
            f"GET /api/v1/stream?channels=quotes HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\n\r\n".encode()
        )
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
        sizes = []
        with listening(stream.url, customer, channels="quotes") as attentive:
            deadline = time.monotonic() + 240
            while "too_slow" not in stream.log:
                assert time.monotonic() < deadline, stream.log[-2000:]
                Quote.objects.filter(option__in=options).update(quoted_at=timezone.now())
                sizes.append(process.memory_info().rss)
                time.sleep(0.05)
            assert attentive.of("quotes")
            assert not attentive.of("end")
    assert max(sizes) - sizes[0] < 60_000_000
    for before, after in pairwise(sizes[len(sizes) // 2 :]):
        assert after - before < 10_000_000
