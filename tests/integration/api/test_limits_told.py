"""A refusal by a limit tells programs of what, how much it is and how much is left: an order of so much is taken."""

from decimal import Decimal

import pytest
from django.utils import timezone

from counter.limits.in_force import Setting, measure_series, set_customer_limit, set_series_limit
from counter.limits.refusals import refusals
from tests.support.api import error_of
from tests.support.factories import place_open
from tests.support.public_ids import position_id

COST_OF_ONE = Decimal("22.612500")
MEMBERS = ("field", "limit", "left")


@pytest.fixture(params=["framework", "fast_path"])
def caller(request, new_caller):
    return new_caller(door=request.param)


def opening(option, contracts, name="o"):
    return {"type": "open", "client_order_id": name, "symbol": option.symbol, "contracts": contracts}


def limited(caller, **limits):
    to = Setting(**{"contracts": None, "notional": None} | limits)
    set_customer_limit(customer_id=caller.customer.pk, to=to, reason="a test", by="ann", now=timezone.now())


def told(error):
    """Which members an error has, and their values: one that has nothing to say is left out."""
    return {name: error[name] for name in MEMBERS if name in error}


def refused(caller, option, contracts, status, code):
    error = error_of(caller.post("orders", opening(option, contracts)), status)
    assert (error["code"], error["final"]) == (code, False)
    return told(error)


def test_contracts(caller, option):
    limited(caller, contracts=5)
    place_open(caller.customer, option, contracts=3)
    assert refused(caller, option, 3, 422, "contracts_limit") == {
        "field": "contracts",
        "limit": "5",
        "left": "2",
    }
    assert caller.post("orders", opening(option, 2)).status_code == 201


def test_what_is_left_of_a_limit_that_was_lowered_is_nothing(caller, option):
    place_open(caller.customer, option, contracts=3)
    limited(caller, contracts=2)
    assert refused(caller, option, 1, 422, "contracts_limit")["left"] == "0"
    limited(caller, notional=COST_OF_ONE)
    assert refused(caller, option, 1, 422, "notional_limit") == {
        "field": "notional",
        "limit": "22.612500",
        "left": "0.000000",
    }


def test_notional(caller, option):
    limited(caller, notional=Decimal(100))
    place_open(caller.customer, option, contracts=2)
    assert refused(caller, option, 3, 422, "notional_limit") == {
        "field": "notional",
        "limit": "100.000000",
        "left": "54.775000",
    }
    assert caller.post("orders", opening(option, 2)).status_code == 201


def test_orders_a_second(caller, option, settings):
    settings.CUSTOMER_BURST_SECONDS = 1
    limited(caller, orders_per_s=2)
    batch = [opening(option, 1, f"o-{number}") for number in range(3)]
    results = caller.post("orders/batch", {"orders": batch}).json()["results"]
    assert [result["status"] for result in results] == [201, 201, 429]
    error = results[-1]["error"]
    assert error["code"] == "too_many_orders"
    assert told(error) == {"field": "orders_per_s", "limit": "2", "left": "0"}


def test_refused_orders_that_were_too_many_have_no_limit_to_tell(caller, option):
    refusals.count(caller.customer.pk, refused=1_000_000, accepted=0)
    error = error_of(caller.post("orders", opening(option, 1)), 429)
    assert error["code"] == "too_many_orders"
    assert told(error) == {}


@pytest.mark.parametrize(
    ("limit", "field", "left"),
    [
        ({"contracts": 3, "notional": None}, "contracts", "2"),
        ({"contracts": None, "notional": 3 * COST_OF_ONE}, "notional", "45.225000"),
    ],
)
def test_a_series_tells_what_is_left_and_not_what_others_hold(caller, option, another, limit, field, left):
    place_open(another.customer, option)
    now = timezone.now()
    set_series_limit(option_id=option.pk, to=Setting(**limit), reason="thin", by="ann", now=now)
    measure_series(now=now)
    assert refused(caller, option, 3, 409, "series_limit") == {"field": field, "left": left}
    assert caller.post("orders", opening(option, 2)).status_code == 201


def test_balance(caller, option):
    """Of 1,000 USDT 44 contracts can be paid."""
    assert refused(caller, option, 45, 422, "insufficient_balance") == {
        "field": "balance",
        "left": "1000.000000",
    }
    assert caller.post("orders", opening(option, 44, "p")).status_code == 201
    assert refused(caller, option, 1, 422, "insufficient_balance")["left"] == "5.050000"


def test_each_order_of_a_batch_is_told_what_those_before_it_left(caller, option):
    limited(caller, contracts=3)
    batch = [
        opening(option, 2, "a"),
        opening(option, 2, "b"),
        opening(option, 1, "c"),
        opening(option, 1, "d"),
    ]
    results = caller.post("orders/batch", {"orders": batch}).json()["results"]
    assert [result["status"] for result in results] == [201, 422, 201, 422]
    assert [results[n]["error"]["left"] for n in (1, 3)] == ["1", "0"]


def test_a_position_tells_what_is_left_of_it(caller, option):
    position = position_id(place_open(caller.customer, option, contracts=3).position_id)
    body = {"type": "close", "client_order_id": "c", "position_id": position, "contracts": 4}
    expected = {"field": "contracts", "limit": "3", "left": "3"}
    error = error_of(caller.post("orders", body), 422)
    assert (error["code"], told(error)) == ("position_too_small", expected)
    quote = {"side": "close", "position_id": position, "contracts": 4}
    error = error_of(caller.post("quotes", quote), 422)
    assert (error["code"], told(error)) == ("position_too_small", expected)
    assert caller.post("orders", body | {"contracts": 2}).status_code == 201
    error = error_of(caller.post("orders", body | {"client_order_id": "d", "contracts": 2}), 422)
    assert told(error) == {"field": "contracts", "limit": "3", "left": "1"}


def test_firm_quotes_are_limited_by_number_and_by_what_they_are_worth(caller, option, settings):
    settings.FIRM_QUOTES_LIVE, settings.FIRM_QUOTES_LIVE_USDT = 2, Decimal(100)
    asked = {"side": "open", "symbol": option.symbol, "contracts": 2}
    assert caller.post("quotes", asked).status_code == 201
    error = error_of(caller.post("quotes", asked | {"contracts": 3}), 429)
    assert error["code"] == "too_many_quotes"
    assert told(error) == {"field": "quotes_notional", "limit": "100.000000", "left": "54.775000"}
    assert caller.post("quotes", asked).status_code == 201
    error = error_of(caller.post("quotes", asked), 429)
    assert told(error) == {"field": "quotes", "limit": "2", "left": "0"}


def test_a_batch_that_is_too_large_is_told_what_it_may_have(caller, option, settings):
    settings.MAX_BATCH_ORDERS = 2
    orders = [opening(option, 1, f"o-{number}") for number in range(3)]
    error = error_of(caller.post("orders/batch", {"orders": orders}), 413)
    assert error["code"] == "batch_too_large"
    assert told(error) == {"field": "orders", "limit": "2", "left": "2"}


def test_a_body_that_is_too_large_is_told_how_long_it_may_be(caller, settings):
    longest = str(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    error = error_of(caller.post("orders", b" " * (int(longest) + 1)), 413)
    assert told(error) == {"field": "body_bytes", "limit": longest, "left": longest}


def test_a_price_beyond_the_bound_is_told_with_the_bound_that_it_is_beyond(caller, option):
    error = error_of(caller.post("orders", opening(option, 1) | {"max_cost": "0.01"}), 409)
    assert error["code"] == "price_moved"
    assert error["detail"] == {"path": "$.max_cost", "cost": "22.612500"}
    position = position_id(place_open(caller.customer, option).position_id)
    body = {"type": "close", "client_order_id": "c", "position_id": position, "min_proceeds": "1000"}
    error = error_of(caller.post("orders", body), 409)
    assert error["code"] == "price_moved"
    assert error["detail"]["path"] == "$.min_proceeds"
    assert caller.post("orders", body | {"min_proceeds": error["detail"]["proceeds"]}).status_code == 201
