"""What customers read: positions, balance, ledger, instruments, quotes."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from counter.models import Account, Option
from counter.money import withdrawals
from tests.support.api import error_of
from tests.support.factories import make_option, make_quote, place_close, place_open
from tests.support.public_ids import order_id, position_id, row, rows

# --- positions ------------------------------------------------------------------------------------------------------


def test_positions_show_what_is_left_and_what_was_paid(caller, option):
    opened = place_open(caller.customer, option, contracts=3)
    place_close(opened, contracts=1)
    body = caller.get(f"positions/{position_id(opened.id)}").json()
    assert body == {
        "id": position_id(opened.id),
        "symbol": option.symbol,
        "contracts": 3,
        "remaining": 2,
        "unpaid": 0,
        "cost": "67.837500",
        "proceeds": "17.910000",
        "state": "open",
        "opened_at": opened.placed_at.isoformat().replace("+00:00", "Z"),
        "closed_at": None,
        "settlement_index": None,
    }
    place_close(opened, payout="at_fill")
    assert caller.get(f"positions/{position_id(opened.id)}").json()["state"] == "closing"


def test_positions_are_filtered_by_state_and_paged(caller, option):
    first, second, third = (place_open(caller.customer, option) for _ in range(3))
    place_close(second)

    def ids(**query):
        return rows(position["id"] for position in caller.get("positions", **query).json()["results"])

    assert ids() == [third.id, second.id, first.id]
    assert ids(state="open") == [third.id, first.id]
    assert ids(state="closed") == [second.id]
    page = caller.get("positions", state="open", limit=1).json()
    assert row(page["next_cursor"]) == third.id
    assert ids(state="open", cursor=page["next_cursor"]) == [first.id]


def test_positions_of_others_are_not_there(caller, another, option):
    opened = place_open(another.customer, option)
    assert error_of(caller.get(f"positions/{position_id(opened.id)}"), 404)["code"] == "not_found"
    assert caller.get("positions").json() == {"results": [], "next_cursor": None}


def test_listing_positions_takes_one_query_however_many(caller, option, django_assert_num_queries):
    for _ in range(5):
        place_open(caller.customer, option)
    with django_assert_num_queries(2):  # the token and the page
        caller.get("positions")


# --- balance and ledger ---------------------------------------------------------------------------------------------


def test_balance_follows_orders(caller, option):
    account = {
        "asset": "USDT",
        "balance": "1000.000000",
        "open_contracts": 0,
        "open_notional": "0.000000",
        "limits": {"contracts": 1_000_000, "notional": "5000000.000000", "orders_per_s": 200},
    }
    assert caller.get("accounts").json() == {"results": [account]}
    place_open(caller.customer, option)
    [now] = caller.get("accounts").json()["results"]
    assert (now["balance"], now["open_contracts"], now["open_notional"]) == ("977.387500", 1, "22.612500")


def test_ledger_tells_every_movement_with_the_balance_it_left(caller, another, option, settle):
    opened = place_open(caller.customer, option, contracts=2)
    place_open(another.customer, option)
    closed = place_close(opened, contracts=1)
    last = place_close(opened, payout="at_fill")
    settle(last.id, due="17.999999")
    withdrawals.reserve(
        customer_id=caller.customer.pk, amount=Decimal(10), reference="w-1", now=timezone.now()
    )

    entries = caller.get("ledger").json()["results"]

    assert [(entry["kind"], entry["amount"], entry["order_id"]) for entry in entries] == [
        ("withdrawal", "-10.000000", None),
        ("payout", "17.999999", order_id(last.id)),
        ("close", "17.910000", order_id(closed.id)),
        ("spread", "-0.225000", order_id(opened.id)),
        ("open", "-45.000000", order_id(opened.id)),
        ("deposit", "1000.000000", None),
    ]
    balance = Decimal(0)
    for entry in reversed(entries):
        balance += Decimal(entry["amount"])
        assert Decimal(entry["balance_after"]) == balance
    assert balance == Account.objects.get(customer=caller.customer).balance


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_ledger_pages_join_without_gap_or_overlap(caller, option, limit):
    for _ in range(3):
        place_close(place_open(caller.customer, option))
    everything = caller.get("ledger").json()["results"]
    seen, query = [], {"limit": limit}
    while True:
        page = caller.get("ledger", **query).json()
        seen += page["results"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == everything
    assert len(seen) == 10


# --- instruments and quotes -----------------------------------------------------------------------------------------


def test_instruments_are_those_that_have_not_expired(caller, option):
    put = make_option(underlying="ETH", kind="P", days=60)
    halted = make_option(strike=95_000)
    Option.objects.filter(pk=halted.pk).update(state="HALTED")
    gone = make_option(strike=96_000)
    Option.objects.filter(pk=gone.pk).update(expires_at=timezone.now())
    expired = make_option(strike=97_000)
    Option.objects.filter(pk=expired.pk).update(state="EXPIRED")

    results = caller.get("instruments").json()["results"]

    assert [(one["symbol"], one["state"]) for one in results] == [
        (option.symbol, "listed"),
        (halted.symbol, "halted"),
        (put.symbol, "listed"),
    ]
    assert results[2] == {
        "symbol": put.symbol,
        "underlying": "ETH",
        "kind": "P",
        "strike": "3000.00000000",
        "expires_at": put.expires_at.isoformat().replace("+00:00", "Z"),
        "multiplier": "0.10000000",
        "state": "listed",
    }


@pytest.mark.parametrize("path", ["instruments", "quotes"])
def test_instruments_and_quotes_are_filtered(caller, option, path):
    later = make_option(days=60)
    ether = make_option(underlying="ETH")

    def symbols(**query):
        return {one["symbol"] for one in caller.get(path, **query).json()["results"]}

    assert symbols() == {option.symbol, later.symbol, ether.symbol}
    assert symbols(underlying="BTC") == {option.symbol, later.symbol}
    assert symbols(underlying="BTC", expiry=later.expires_at.date()) == {later.symbol}
    for day in (later.expires_at.date() + timedelta(days=1), date.min, date.max):
        assert symbols(expiry=day) == set()
    assert symbols(symbol=ether.symbol) == {ether.symbol}
    for query in ({"expiry": "soon"}, {"underlying": "b"}, {"strike": 1}):
        assert error_of(caller.get(path, **query), 400)["code"] == "invalid_request"


def test_too_many_parameters_are_refused_of_every_caller(caller):
    path = "/api/v1/orders?" + "&".join(f"p{number}=1" for number in range(1001))
    for client in (caller.http, Client()):
        assert error_of(client.get(path), 400)["code"] == "invalid_request"


def test_quotes_tell_what_one_contract_costs_and_brings(caller, option):
    [quote] = caller.get("quotes").json()["results"]
    assert (quote["bid"], quote["ask"], quote["index_price"]) == ("0.020000", "0.025000", "90000.00000000")
    assert (quote["cost"], quote["proceeds"], quote["is_stale"]) == ("22.612500", "17.910000", False)
    opened = place_open(caller.customer, option)
    assert f"{opened.amount}" == quote["cost"]
    assert f"{place_close(opened).amount}" == quote["proceeds"]


def test_old_quotes_are_marked_and_missing_sides_have_no_price(caller, option, settings):
    too_old = timedelta(seconds=settings.QUOTE_STALE_AFTER_SECONDS + 1)
    make_quote(option, bid=None, ask="0", now=timezone.now() - too_old)
    [quote] = caller.get("quotes").json()["results"]
    assert quote["is_stale"] is True
    assert (quote["bid"], quote["proceeds"], quote["cost"]) == (None, None, None)
