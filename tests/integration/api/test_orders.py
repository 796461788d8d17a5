"""Reading orders over HTTP: page by page, filtered, and one's own only."""

import pytest

from counter.models import SyncOrder
from tests.support.api import error_of
from tests.support.factories import place_close, place_open
from tests.support.public_ids import order_id, position_id, row

INVENTED = f"ord_{'0' * 32}"


def test_orders_are_listed_newest_first_page_by_page(caller, option):
    placed = [order_id(place_open(caller.customer, option).id) for _ in range(5)]
    seen, query = [], {"limit": 2}
    while True:
        page = caller.get("orders", **query).json()
        assert len(page["results"]) <= 2
        seen += [order["id"] for order in page["results"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == placed[::-1]


def test_a_page_that_is_exactly_full_is_the_last(caller, option):
    for _ in range(2):
        place_open(caller.customer, option)
    assert caller.get("orders", limit=2).json()["next_cursor"] is None


def test_orders_are_filtered(caller, option):
    first, second = place_open(caller.customer, option), place_open(caller.customer, option)
    SyncOrder.objects.filter(pk=second.id).update(state="SYNCED")

    def ids(**query):
        return [row(order["id"]) for order in caller.get("orders", **query).json()["results"]]

    assert ids(client_order_id=first.client_order_id) == [first.id]
    assert ids(state="synced") == [second.id]
    assert ids(state="settled") == []
    assert ids(symbol=option.symbol) == [second.id, first.id]
    assert ids(symbol="BTC-1JAN27-1-C") == []


@pytest.mark.parametrize(
    "query",
    [
        {"state": "PENDING"},
        {"limit": 0},
        {"limit": 501},
        {"limit": "ten"},
        {"cursor": "x"},
        {"cursor": 1},
        {"cursor": position_id(1)},
        {"client_order_id": "\x00"},
        {"page": 1},
    ],
    ids=repr,
)
def test_filters_are_read_strictly(caller, query):
    assert error_of(caller.get("orders", **query), 400)["code"] == "invalid_request"


def test_a_cursor_that_no_list_has_told_is_not_taken_for_the_end_of_one(caller, option):
    place_open(caller.customer, option)
    error = error_of(caller.get("orders", cursor=INVENTED), 404)
    assert (error["code"], error["detail"]) == ("not_found", {"path": "$.cursor"})


def test_an_order_shows_its_settlement_once_it_is_reported(caller, option, settle):
    order = place_close(place_open(caller.customer, option), payout="at_fill")
    body = caller.get(f"orders/{order_id(order.id)}").json()
    assert (body["state"], body["proceeds"], body["settlement"]) == ("pending", None, None)

    report = settle(order.id, due="17.5")
    body = caller.get(f"orders/{order_id(order.id)}").json()
    assert (body["state"], body["proceeds"]) == ("settled", "17.500000")
    assert body["settlement"] == {
        "price": "89999.50000000",
        "value": "17.50000000",
        "fee": "0.01000000",
        "due": "17.500000",
        "settled_at": report.settled_at.isoformat().replace("+00:00", "Z"),
    }


def test_orders_of_others_are_not_there(caller, another, option):
    order = place_open(another.customer, option)
    assert error_of(caller.get(f"orders/{order_id(order.id)}"), 404)["code"] == "not_found"
    assert caller.get("orders").json()["results"] == []
    assert error_of(caller.get(f"orders/{INVENTED}"), 404)["code"] == "not_found"


@pytest.mark.parametrize("written", ["1", "ord_", INVENTED.upper(), position_id(1), f"{INVENTED}%0A"])
def test_what_is_not_written_as_the_id_of_an_order_is_refused_in_an_address(caller, written):
    error = error_of(caller.get(f"orders/{written}"), 400)
    assert (error["code"], error["detail"]) == ("invalid_request", {"path": "$.order_id"})
