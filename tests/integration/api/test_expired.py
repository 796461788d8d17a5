"""What a customer reads of an option's end: the position, the order that exercised it, and the money."""

from decimal import Decimal

import pytest

from counter.expiring import expiry
from tests.support.api import Caller, error_of
from tests.support.expiring import AFTER, buy, expiring_option, record_index
from tests.support.factories import make_customer
from tests.support.public_ids import position_id, row

pytestmark = pytest.mark.django_db


@pytest.fixture
def ended(settings):
    """A customer with three positions that have ended: paid at once, to be paid at fill, worthless."""
    settings.EXPIRY_INSTANT_PAYOUT_USDT = Decimal(100)
    caller = Caller(make_customer(balance="5000"))
    calls = expiring_option()
    openings = [
        buy(caller.customer, calls),
        buy(caller.customer, calls),
        buy(caller.customer, expiring_option(kind="P", in_the_money_by=-1000)),
    ]
    record_index()
    expiry.expire_due(now=AFTER)
    return caller, [position_id(opening.position_id) for opening in openings]


def test_positions_say_how_they_ended_and_at_which_index(ended):
    caller, ids = ended
    shown = [caller.get(f"positions/{opened}").json() for opened in ids]
    assert [row["state"] for row in shown] == ["exercised", "exercised", "expired"]
    assert {row["settlement_index"] for row in shown} == {"90000.00000000"}
    assert [(row["proceeds"], row["unpaid"], row["remaining"]) for row in shown] == [
        ("90.000000", 0, 0),
        ("0.000000", 1, 0),
        ("0.000000", 0, 0),
    ]
    assert [row["id"] for row in caller.get("positions", state="exercised").json()["results"]] == ids[1::-1]


def test_an_exercise_is_an_order_that_is_found_by_its_name(ended):
    caller, ids = ended
    orders = [caller.get("orders", client_order_id=f"exercise/{opened}").json()["results"] for opened in ids]
    assert [len(found) for found in orders] == [1, 1, 0]
    paid, waiting = orders[0][0], orders[1][0]
    assert paid["client_order_id"] == f"exercise/{ids[0]}"
    inside = f"exercise/{row(ids[0])}"
    assert caller.get("orders", client_order_id=inside).json()["results"] == []
    assert paid == caller.get(f"orders/{paid['id']}").json()
    assert (paid["type"], paid["payout"], paid["proceeds"]) == ("exercise", "instant", "90.000000")
    assert (paid["cost"], paid["min_proceeds"], paid["spread"]) == (None, None, "0.000000")
    assert (paid["index_price"], paid["premium"], paid["fair"]) == ("90000.00000000", "0.100000", "90.000000")
    assert (waiting["payout"], waiting["proceeds"], waiting["state"]) == ("at_fill", None, "pending")


def test_the_money_is_in_the_ledger_as_an_exercise(ended):
    caller, ids = ended
    newest = caller.get("ledger").json()["results"][0]
    assert (newest["kind"], newest["amount"]) == ("exercise", "90.000000")
    assert newest["order"]["client_order_id"] == f"exercise/{ids[0]}"


def test_customers_own_names_of_orders_cannot_look_like_an_exercise(ended):
    caller, ids = ended
    body = {"type": "open", "client_order_id": f"exercise/{ids[0]}", "symbol": "BTC-4DEC26-81000-C"}
    refused = error_of(caller.post("orders", body | {"contracts": 1}), 400)
    assert refused["code"] == "invalid_request"
