"""Placing orders over HTTP, through either door: what is answered, what is refused and with which code."""

import json
import re
from decimal import Decimal

import pytest
from django.db import OperationalError

from counter.api.codes import CODES, ORDER_CODES, QUOTE_CODES
from counter.models import Option, SyncOrder
from counter.orders.queue import order_queue
from counter.orders.requests import RejectCode
from tests.support.api import error_of
from tests.support.factories import make_quote
from tests.support.public_ids import order_id, position_id, row

AMOUNT = re.compile(r"[0-9]+\.([0-9]{6}|[0-9]{8})")


@pytest.fixture(params=["framework", "fast_path"])
def caller(request, new_caller):
    return new_caller(door=request.param)


def opening(option, **changes):
    return {"type": "open", "client_order_id": "o-1", "symbol": option.symbol, "contracts": 2} | changes


def closing(**changes):
    return {"type": "close", "client_order_id": "c-1", "opened_by": "o-1"} | changes


# --- placing --------------------------------------------------------------------------------------------------------


def test_open_answers_201_with_every_amount_at_full_scale(caller, option):
    response = caller.post("orders", opening(option, max_cost="50"))
    assert response.status_code == 201
    assert "Idempotent-Replayed" not in response
    body = response.json()
    stored = SyncOrder.objects.get(pk=row(body["id"]))
    assert body.pop("placed_at") == stored.placed_at.isoformat().replace("+00:00", "Z")
    assert body == {
        "id": order_id(stored.pk),
        "client_order_id": "o-1",
        "type": "open",
        "symbol": option.symbol,
        "contracts": 2,
        "position_id": position_id(stored.pk),
        "premium": "0.025000",
        "index_price": "90000.00000000",
        "coin": "0.00050000",
        "fair": "45.000000",
        "spread": "0.225000",
        "cost": "45.225000",
        "proceeds": None,
        "max_cost": "50.000000",
        "min_proceeds": None,
        "payout": "instant",
        "quote_id": None,
    }


def test_close_by_the_opening_orders_name_answers_the_proceeds(caller, option):
    caller.post("orders", opening(option))
    body = caller.post("orders", closing(contracts=1, min_proceeds="17.91")).json()
    assert (body["type"], body["contracts"], body["cost"]) == ("close", 1, None)
    assert (body["proceeds"], body["min_proceeds"]) == ("17.910000", "17.910000")


def test_close_at_fill_has_no_proceeds_yet_and_never_an_exponent(caller, option):
    position = caller.post("orders", opening(option)).json()["position_id"]
    response = caller.post(
        "orders",
        {"type": "close", "client_order_id": "c", "position_id": position, "payout": "at_fill"},
    )
    assert response.json()["proceeds"] is None
    assert response.json()["spread"] == "0.000000"


def test_amounts_of_zero_are_written_out(caller, option):
    make_quote(option, ask="0.000001", index=Decimal("1"))
    body = caller.post("orders", opening(option, contracts=100)).json()
    assert {key for key, text in body.items() if isinstance(text, str) and "E" in text} <= {"symbol"}
    for key in ("premium", "index_price", "coin", "fair", "spread", "cost"):
        assert AMOUNT.fullmatch(body[key]), (key, body[key])


@pytest.mark.parametrize("payout", ["instant", "at_fill"])
def test_the_same_request_again_gets_the_same_answer_also_once_it_is_settled(caller, option, settle, payout):
    for request in (opening(option), closing(payout=payout)):
        first = caller.post("orders", request)
        settle(row(first.json()["id"]), due="31.5" if first.json()["payout"] == "at_fill" else None)
        again = caller.post("orders", request)
        assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
        assert again.content == first.content


def test_amounts_may_be_json_integers(caller, option):
    assert caller.post("orders", opening(option, max_cost=50)).json()["max_cost"] == "50.000000"


# --- strict reading -------------------------------------------------------------------------------------------------

INVALID = [
    {"contracts": 2.0},
    {"contracts": "2"},
    {"contracts": 0},
    {"contracts": -1},
    {"contracts": 1_000_001},
    {"contracts": 10**30},
    {"contracts": True},
    {"contracts": None},
    {"max_cost": 50.5},
    {"max_cost": "-1"},
    {"max_cost": "1e3"},
    {"max_cost": "NaN"},
    {"max_cost": "Infinity"},
    {"max_cost": "1.0000001"},
    {"max_cost": "1" * 15},
    {"max_cost": 10**14},
    {"max_cost": ""},
    {"max_cost": "٣"},
    {"max_cost": True},
    {"client_order_id": ""},
    {"client_order_id": "x" * 65},
    {"client_order_id": "with space"},
    {"client_order_id": "line\n"},
    {"client_order_id": "\x00"},
    {"client_order_id": "ключ"},
    {"client_order_id": 7},
    {"symbol": "btc"},
    {"symbol": "X" * 33},
    {"type": "exercise"},
    {"type": None},
    {"min_proceeds": "1"},
    {"price": "1"},
]


@pytest.mark.parametrize("change", INVALID, ids=repr)
def test_invalid_orders_are_refused_and_nothing_is_stored(caller, option, change):
    error = error_of(caller.post("orders", opening(option) | change), 400)
    assert error["code"] == "invalid_request"
    assert not SyncOrder.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"opened_by": None},
        {"position_id": position_id(1)},
        {"position_id": 1, "opened_by": None},
        {"position_id": "1", "opened_by": None},
        {"position_id": order_id(1), "opened_by": None},
        {"quote_id": 1},
        {"payout": "later"},
        {"symbol": "BTC-27NOV26-90000-C"},
        {"contracts": 0},
    ],
    ids=repr,
)
def test_invalid_closes_are_refused(caller, change):
    assert error_of(caller.post("orders", closing() | change), 400)["code"] == "invalid_request"


@pytest.mark.parametrize("field", ["type", "client_order_id", "symbol", "contracts"])
def test_missing_fields_are_named(caller, option, field):
    body = {key: value for key, value in opening(option).items() if key != field}
    assert field in error_of(caller.post("orders", body), 400)["message"]


def test_the_place_of_the_error_is_told(caller, option):
    error = error_of(caller.post("orders", opening(option, contracts=0)), 400)
    assert error["detail"] == {"path": "$.contracts"}


@pytest.mark.parametrize(
    "raw",
    [
        b" ",
        b"{",
        b"\xff",
        b'{"type":"open","client_order_id":"\xff"}',
        b'{"contracts": NaN}',
        b'{"x":' + b"[" * 100_000,
        b"null",
        b"[]",
        b'"x"',
        b"7",
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_what_is_no_order_at_all_is_refused(caller, raw):
    for path in ("orders", "orders/batch"):
        assert error_of(caller.post(path, raw), 400)["code"] in {"malformed_json", "invalid_request"}


def test_body_has_to_say_that_it_is_json(caller, option):
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ):
        response = caller.post("orders", json.dumps(opening(option)), content_type)
        assert error_of(response, 415)["code"] == "unsupported_media_type"


def test_body_that_is_too_large_is_refused(caller, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert error_of(caller.post("orders", b" " * 1001), 413)["code"] == "body_too_large"


# --- refused orders -------------------------------------------------------------------------------------------------


def test_every_reject_code_has_a_status():
    assert set(ORDER_CODES) | set(QUOTE_CODES) == {str(code) for code in RejectCode}
    assert all(400 <= code.status < 600 for code in CODES.values())


def test_refused_orders_carry_their_code(caller, option):
    caller.post("orders", opening(option))
    halted = Option.objects.filter(pk=option.pk)

    def refused(body):
        response = caller.post("orders", body)
        error = error_of(response, response.status_code)
        return response.status_code, error["code"], response.headers.get("Retry-After")

    assert refused(opening(option, contracts=3)) == (409, "client_order_id_reused", None)
    assert refused(opening(option, client_order_id="x", contracts=1000)) == (
        422,
        "insufficient_balance",
        None,
    )
    assert refused(opening(option, client_order_id="x", max_cost="1")) == (409, "price_moved", None)
    assert refused(opening(option, client_order_id="x", symbol="NO-SUCH")) == (404, "option_not_found", None)
    assert refused(closing(contracts=3)) == (422, "position_too_small", None)
    assert refused(closing(opened_by="nothing")) == (404, "position_not_found", None)
    halted.update(state="HALTED")
    assert refused(opening(option, client_order_id="x")) == (409, "option_halted", None)
    halted.update(state="EXPIRED")
    assert refused(opening(option, client_order_id="x")) == (409, "option_expired", None)
    halted.update(state="LISTED")
    option.quote.quoted_at = option.quote.quoted_at.replace(year=2020)
    option.quote.save()
    assert refused(opening(option, client_order_id="x")) == (409, "quote_stale", "1")
    option.quote.delete()
    assert refused(opening(option, client_order_id="x")) == (409, "quote_missing", None)


def test_a_database_that_does_not_answer_is_503_and_may_be_tried_again(caller, option, monkeypatch):
    def no_answer(**_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(order_queue, "_place", no_answer)
    response = caller.post("orders", opening(option))
    error = error_of(response, 503)
    assert (error["code"], response["Retry-After"]) == ("unavailable", "1")
    assert "server closed" not in response.content.decode()


def test_an_error_of_ours_is_500_in_the_same_shape_and_tells_nothing(caller, option, monkeypatch):
    def broken(**_):
        raise RuntimeError("secret")

    monkeypatch.setattr(order_queue, "_place", broken)
    response = caller.post("orders", opening(option))
    assert error_of(response, 500)["code"] == "internal_error"
    assert "secret" not in response.content.decode()


# --- batches --------------------------------------------------------------------------------------------------------


def test_a_batch_has_an_outcome_for_each_order(caller, option):
    response = caller.post(
        "orders/batch",
        {
            "orders": [
                opening(option),
                opening(option),
                opening(option, contracts=5),
                closing(contracts=1),
                opening(option, client_order_id="big", contracts=1000),
            ]
        },
    )
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["status"] for result in results] == [201, 201, 409, 201, 422]
    assert results[0]["order"] == results[1]["order"]
    assert "replayed" not in results[0]
    assert results[1]["replayed"] is True
    assert results[2]["error"]["code"] == "client_order_id_reused"
    assert results[3]["order"]["position_id"] == results[0]["order"]["position_id"]
    assert "order" not in results[4]


def test_an_order_of_a_batch_gets_the_same_body_as_alone(caller, option):
    batch = caller.post("orders/batch", {"orders": [opening(option)]}).json()["results"][0]["order"]
    assert caller.post("orders", opening(option)).json() == batch


def test_an_order_that_cannot_be_read_does_not_hinder_the_others(caller, option):
    orders = [
        opening(option),
        opening(option) | {"contracts": 1.5},
        7,
        opening(option, client_order_id="o-2"),
    ]
    results = caller.post("orders/batch", {"orders": orders}).json()["results"]
    assert [result["status"] for result in results] == [201, 400, 400, 201]
    assert results[1]["error"]["detail"] == {"path": "$.contracts"}
    assert SyncOrder.objects.count() == 2


@pytest.mark.parametrize(
    "body", [{}, {"orders": {}}, {"orders": None}, {"orders": [], "x": 1}, {"orders": []}]
)
def test_a_batch_that_is_none_is_refused(caller, body):
    assert error_of(caller.post("orders/batch", body), 400)["code"] == "invalid_request"


@pytest.mark.parametrize("valid", [True, False])
def test_a_batch_of_too_many_orders_is_refused_as_a_whole(caller, option, settings, valid):
    settings.MAX_BATCH_ORDERS = 3
    orders = [opening(option, client_order_id=str(number)) for number in range(4)]
    orders[3]["contracts"] = 1 if valid else 0
    assert error_of(caller.post("orders/batch", {"orders": orders}), 413)["code"] == "batch_too_large"
    assert not SyncOrder.objects.exists()
