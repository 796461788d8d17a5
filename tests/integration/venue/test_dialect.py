"""The venue's answers over HTTP, refusals with Binance's codes above all."""

import time

import pytest
import requests

from tests.support.paper_process import call, limit_ioc


def refusal(answer):
    return answer.status_code, answer.json()["code"], answer.json()["msg"]


@pytest.mark.parametrize("in_body", [False, True], ids=["query", "body"])
def test_an_order_is_placed_and_found_by_either_id(venue, in_body):
    name = f"dialect-{in_body}"
    placed = call(venue, "POST", "/api/v3/order", in_body=in_body, **limit_ioc(name))
    assert placed.status_code == 200
    order = placed.json()
    assert (order["status"], order["executedQty"]) == ("FILLED", "0.01000000")
    assert sum(int(fill["qty"].replace(".", "")) for fill in order["fills"]) == 1_000_000
    assert {"X-MBX-USED-WEIGHT-1M", "X-MBX-ORDER-COUNT-10S", "X-MBX-ORDER-COUNT-1D"} <= set(placed.headers)
    by_client_id = call(venue, "GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=name).json()
    by_order_id = call(venue, "GET", "/api/v3/order", symbol="BTCUSDT", orderId=order["orderId"]).json()
    assert by_client_id == by_order_id
    trades = call(venue, "GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=order["orderId"]).json()
    assert [trade["id"] for trade in trades] == [fill["tradeId"] for fill in order["fills"]]


@pytest.mark.parametrize(
    ("response_type", "has_status", "has_fills"), [("ACK", 0, 0), ("RESULT", 1, 0), ("FULL", 1, 1)]
)
def test_the_answer_is_as_long_as_asked_for(venue, response_type, has_status, has_fills):
    placed = call(venue, "POST", "/api/v3/order", **limit_ioc("long", newOrderRespType=response_type)).json()
    assert ("status" in placed, "fills" in placed) == (has_status, has_fills)


def test_a_resting_order_is_listed_and_cancelled(venue):
    terms = limit_ioc("resting", timeInForce="GTC", price="80000")
    assert call(venue, "POST", "/api/v3/order", **terms).json()["status"] == "NEW"
    assert refusal(call(venue, "POST", "/api/v3/order", **terms)) == (400, -2010, "Duplicate order sent.")
    listed = call(venue, "GET", "/api/v3/openOrders", symbol="BTCUSDT").json()
    assert [order["clientOrderId"] for order in listed] == ["resting"]
    cancelled = call(venue, "DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="resting").json()
    assert (cancelled["status"], cancelled["origClientOrderId"]) == ("CANCELED", "resting")
    gone = call(venue, "DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="resting")
    assert refusal(gone) == (400, -2011, "Unknown order sent.")
    for name in ("one", "two"):
        call(venue, "POST", "/api/v3/order", **{**terms, "newClientOrderId": name})
    both = call(venue, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT").json()
    assert [order["origClientOrderId"] for order in both] == ["one", "two"]
    assert call(venue, "GET", "/api/v3/openOrders").json() == []


def test_a_tested_order_is_checked_and_not_placed(venue):
    before = len(venue.state()["orders"])
    assert call(venue, "POST", "/api/v3/order/test", **limit_ioc("tested")).json() == {}
    refused = call(venue, "POST", "/api/v3/order/test", **limit_ioc("tested", quantity="0.000001"))
    assert refusal(refused) == (400, -1013, "Filter failure: LOT_SIZE")
    assert len(venue.state()["orders"]) == before


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"price": "99000.001"}, (400, -1013, "Filter failure: PRICE_FILTER")),
        ({"quantity": "0.00001"}, (400, -1013, "Filter failure: NOTIONAL")),
        ({"quantity": "0.123456789"}, (400, -1111, "Parameter 'quantity' has too much precision.")),
        ({"quantity": "-1"}, (400, -1100, None)),
        ({"quantity": ""}, (400, -1105, "Parameter 'quantity' was empty.")),
        ({"symbol": "DOGEUSDT"}, (400, -1121, "Invalid symbol.")),
        ({"colour": "blue"}, (400, -1104, None)),
        ({"quantity": "80"}, (400, -2010, "Account has insufficient balance for requested action.")),
    ],
)
def test_a_bad_order_is_refused_in_binances_words(venue, changed, expected):
    before = venue.state()["accounts"]
    status, code, message = refusal(call(venue, "POST", "/api/v3/order", **limit_ioc("bad", **changed)))
    assert (status, code) == expected[:2]
    assert expected[2] in (None, message)
    assert venue.state()["accounts"] == before


def test_strangers_and_latecomers_are_refused(venue):
    def ask(**terms):
        return refusal(call(venue, "GET", "/api/v3/account", **terms))[:2]

    now_ms = time.time_ns() // 1_000_000
    assert ask(key=None) == (401, -2014)
    assert ask(key="nobody") == (401, -2015)
    assert ask(secret="wrong") == (400, -1022)
    assert ask(timestamp=now_ms - 6_000) == (400, -1021)
    assert ask(timestamp=now_ms - 6_000, recvWindow=60_001) == (400, -1131)
    assert ask(timestamp=now_ms + 3_000) == (400, -1021)
    assert call(venue, "GET", "/api/v3/account", timestamp=now_ms - 6_000, recvWindow=60_000).ok
    unsigned = requests.get(f"{venue.url}/api/v3/account", headers={"X-MBX-APIKEY": "paper-key"}, timeout=10)
    assert refusal(unsigned)[:2] == (400, -1102)


def test_queries_that_name_nothing_or_too_much_are_refused(venue):
    def ask(path, **params):
        return refusal(call(venue, "GET", path, symbol="BTCUSDT", **params))[:2]

    assert ask("/api/v3/order") == (400, -1102)
    assert ask("/api/v3/order", origClientOrderId="never-sent") == (400, -2013)
    assert ask("/api/v3/myTrades", fromId=1, startTime=1) == (400, -1128)
    assert ask("/api/v3/myTrades", startTime=0, endTime=86_400_001) == (400, -1127)
    assert ask("/api/v3/klines", interval="7m") == (400, -1120)
    unknown = requests.get(f"{venue.url}/api/v3/nothing", timeout=10)
    assert refusal(unknown)[:2] == (404, -1020)


def test_money_moves_between_wallets_and_the_history_tells_of_it(venue):
    before = venue.state()["accounts"]["paper"]
    moved = call(
        venue, "POST", "/sapi/v1/asset/transfer", type="FUNDING_MAIN", asset="ETH", amount="1.25"
    ).json()
    history = call(venue, "GET", "/sapi/v1/asset/transfer", type="FUNDING_MAIN").json()
    assert history["rows"][0]["tranId"] == moved["tranId"]
    other_way = call(venue, "GET", "/sapi/v1/asset/transfer", type="MAIN_FUNDING").json()
    assert moved["tranId"] not in [row["tranId"] for row in other_way["rows"]]
    (held,) = call(venue, "POST", "/sapi/v1/asset/get-funding-asset", asset="ETH").json()
    assert (
        held["free"]
        == venue.state()["accounts"]["paper"]["funding"]["ETH"]["free"]
        != before["funding"]["ETH"]["free"]
    )
    for params, code in (
        ({"amount": "99999999"}, -5013),
        ({"amount": "0"}, -5007),
        ({"asset": "DOGE"}, -4018),
        ({"type": "MAIN_MARGIN"}, -1130),
    ):
        terms = {"type": "FUNDING_MAIN", "asset": "ETH", "amount": "1", **params}
        assert refusal(call(venue, "POST", "/sapi/v1/asset/transfer", **terms))[:2] == (400, code)


def test_public_data_agree_with_each_other(venue):
    def ask(path, **params):
        return requests.get(venue.url + path, params=params, timeout=10).json()

    ticker = ask("/api/v3/ticker/bookTicker", symbol="BTCUSDT")
    depth = ask("/api/v3/depth", symbol="BTCUSDT", limit=5)
    assert [ticker["bidPrice"], ticker["bidQty"]] == depth["bids"][0]
    assert [ticker["askPrice"], ticker["askQty"]] == depth["asks"][0]
    last = ask("/api/v3/ticker/price", symbol="BTCUSDT")["price"]
    assert last == ask("/api/v3/ticker/24hr", symbol="BTCUSDT")["lastPrice"] == "90000.00000000"
    assert last == ask("/api/v3/trades", symbol="BTCUSDT")[-1]["price"]
    assert last == ask("/api/v3/klines", symbol="BTCUSDT", interval="1m")[-1][4]
    assert len(ask("/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=5)) == 5
    assert {item["symbol"] for item in ask("/api/v3/ticker/price")} == {"BTCUSDT", "ETHUSDT", "BNBUSDT"}
    named = ask("/api/v3/ticker/24hr", symbols='["BTCUSDT","ETHUSDT"]')
    assert [item["symbol"] for item in named] == ["BTCUSDT", "ETHUSDT"]
    assert abs(ask("/api/v3/time")["serverTime"] - time.time() * 1000) < 5_000
    filters = {
        item["filterType"] for item in ask("/api/v3/exchangeInfo", symbol="BTCUSDT")["symbols"][0]["filters"]
    }
    assert {
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "NOTIONAL",
        "PERCENT_PRICE_BY_SIDE",
        "MAX_NUM_ORDERS",
    } <= filters
