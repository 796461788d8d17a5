"""Firm quotes over HTTP: asked for, used by an order through either door, and refused."""

import pytest

from counter.models import FirmQuote
from tests.support.api import error_of
from tests.support.factories import make_quote
from tests.support.public_ids import position_id, quote_id, row


@pytest.fixture(params=["framework", "fast_path"])
def caller(request, new_caller):
    return new_caller(door=request.param)


def test_an_open_by_a_firm_quote(caller, option):
    response = caller.post("quotes", {"side": "open", "symbol": option.symbol, "contracts": 2})
    assert response.status_code == 201
    quote = response.json()
    stored = FirmQuote.objects.get(pk=row(quote["quote_id"]))
    times = {
        name: getattr(stored, name).isoformat().replace("+00:00", "Z") for name in ("given_at", "expires_at")
    }
    assert quote == {
        "quote_id": quote_id(stored.pk),
        "symbol": option.symbol,
        "side": "open",
        "position_id": None,
        "contracts": 2,
        "premium": "0.025000",
        "index_price": "90000.00000000",
        "fair": "45.000000",
        "spread": "0.225000",
        "cost": "45.225000",
        "proceeds": None,
        **times,
    }
    make_quote(option, ask="0.030000")
    order = {"type": "open", "client_order_id": "o-1", "symbol": option.symbol, "contracts": 2}
    placed = caller.post("orders", order | {"quote_id": quote["quote_id"], "max_cost": "45.225"})
    assert placed.status_code == 201
    assert (placed.json()["cost"], placed.json()["quote_id"]) == ("45.225000", quote["quote_id"])
    again = caller.post("orders", order | {"client_order_id": "o-2", "quote_id": quote["quote_id"]})
    error = error_of(again, 409)
    assert error["code"] == "quote_used"
    assert placed.json()["id"] in error["message"]
    assert caller.get(f"orders/{placed.json()['id']}").json()["quote_id"] == quote["quote_id"]


def test_a_close_by_a_firm_quote(caller, option):
    order = {"type": "open", "client_order_id": "o-1", "symbol": option.symbol, "contracts": 2}
    position_id = caller.post("orders", order).json()["position_id"]
    asked = {"side": "close", "symbol": option.symbol, "position_id": position_id, "contracts": 1}
    quote = caller.post("quotes", asked).json()
    assert (quote["position_id"], quote["cost"], quote["proceeds"]) == (position_id, None, "17.910000")
    make_quote(option, bid="0.010000")
    close = {"type": "close", "client_order_id": "c-1", "position_id": position_id}
    batch = [close | {"quote_id": quote["quote_id"]}, close | {"client_order_id": "c-2"}]
    results = caller.post("orders/batch", {"orders": batch}).json()["results"]
    assert [result["order"]["proceeds"] for result in results] == ["17.910000", "8.955000"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"side": "both", "symbol": "BTC-X", "contracts": 1},
        {"side": "open", "symbol": "BTC-X"},
        {"side": "open", "symbol": "BTC-X", "contracts": 0},
        {"side": "open", "symbol": "BTC-X", "contracts": 1, "position_id": position_id(1)},
        {"side": "close", "symbol": "BTC-X", "contracts": 1},
        {"side": "close", "position_id": 1},
        {"side": "close", "position_id": quote_id(1)},
    ],
)
def test_what_makes_no_sense_is_refused(caller, body):
    assert error_of(caller.post("quotes", body), 400)["code"] == "invalid_request"


def test_what_was_given_to_nobody_is_not_there(caller, option):
    """Written as ids are, and none of ours: as one of another customer."""
    nobodys = {"position_id": f"pos_{'0' * 32}", "quote_id": f"quo_{'0' * 32}"}
    quote = {"side": "close", "position_id": nobodys["position_id"]}
    assert error_of(caller.post("quotes", quote), 404)["code"] == "position_not_found"
    close = {"type": "close", "client_order_id": "c-1", "position_id": nobodys["position_id"]}
    assert error_of(caller.post("orders", close), 404)["code"] == "position_not_found"
    order = {"type": "open", "client_order_id": "o-1", "symbol": option.symbol, "contracts": 2}
    order["quote_id"] = nobodys["quote_id"]
    assert error_of(caller.post("orders", order), 404)["code"] == "quote_not_found"


def test_a_field_given_twice_is_refused(caller):
    body = '{"side": "open", "symbol": "BTC-X", "contracts": 1, "contracts": 2}'
    assert "more than once" in error_of(caller.post("quotes", body), 400)["message"]


def test_one_too_many_says_when_to_ask_again(caller, option, settings):
    settings.FIRM_QUOTES_LIVE = 0
    response = caller.post("quotes", {"side": "open", "symbol": option.symbol, "contracts": 1})
    assert error_of(response, 429)["code"] == "too_many_quotes"
    assert response["Retry-After"] == "5"
