"""Each fault disturbs what it says, and the books stay right after each answer that the caller got."""

import time

import pytest
import requests

from tests.support.paper_process import call, limit_ioc


def switch(venue, kind, **terms):
    return venue.control("POST", "faults", kind=kind, path="/api/v3/order$", method="POST", **terms)


def exists(venue, name):
    return name in [order["clientOrderId"] for order in venue.state()["orders"]]


@pytest.mark.parametrize(
    ("kind", "terms", "status", "code", "is_executed"),
    [
        ("error_before", {}, 503, -1001, False),
        ("error_before", {"status": 502, "code": -1006}, 502, -1006, False),
        ("error_after", {}, 504, -1007, True),
        ("error_after", {"status": 500, "code": -1000}, 500, -1000, True),
        ("rate_limit", {"retry_after_seconds": 7}, 429, -1003, False),
        ("rate_limit", {"status": 418}, 418, -1003, False),
        ("maintenance", {}, 503, -1016, False),
    ],
)
def test_an_error_before_execution_does_nothing_and_one_after_has_done_it(
    venue, kind, terms, status, code, is_executed
):
    name = f"{kind}-{status}"
    switch(venue, kind, **terms)
    answer = call(venue, "POST", "/api/v3/order", **limit_ioc(name))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("Retry-After" in answer.headers) == (kind == "rate_limit")
    assert exists(venue, name) == is_executed


@pytest.mark.parametrize(("kind", "is_executed"), [("reply_lost", True), ("request_lost", False)])
def test_a_lost_connection_tells_nothing_about_execution(venue, kind, is_executed):
    switch(venue, kind, count=1)
    with pytest.raises(requests.ConnectionError):
        call(venue, "POST", "/api/v3/order", **limit_ioc(kind))
    assert exists(venue, kind) == is_executed
    assert call(venue, "POST", "/api/v3/order", **limit_ioc(f"after-{kind}")).ok
    assert venue.control("GET", "faults")[0]["struck"] == 1


@pytest.mark.parametrize(("kind", "body"), [("empty_body", ""), ("empty_object", "{}")])
def test_an_empty_answer_is_a_200_to_an_executed_order(venue, kind, body):
    switch(venue, kind)
    answer = call(venue, "POST", "/api/v3/order", **limit_ioc(kind))
    assert (answer.status_code, answer.text) == (200, body)
    assert exists(venue, kind)


def test_a_cut_answer_is_no_json(venue):
    switch(venue, "cut_body")
    answer = call(venue, "POST", "/api/v3/order", **limit_ioc("cut"))
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert exists(venue, "cut")


@pytest.mark.parametrize("kind", ["latency", "reply_delay"])
def test_a_caller_that_stops_waiting_may_have_traded_all_the_same(venue, kind):
    switch(venue, kind, delay_ms=400)
    with pytest.raises(requests.Timeout):
        call(venue, "POST", "/api/v3/order", timeout=0.1, **limit_ioc(kind))
    assert exists(venue, kind) == (kind == "reply_delay")
    time.sleep(0.6)
    assert exists(venue, kind)


def test_lagging_reads_hide_orders_trades_transfers_and_balances_for_a_while(venue):
    def seen():
        order = call(venue, "GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="lagging")
        transfers = call(venue, "GET", "/sapi/v1/asset/transfer", type="MAIN_FUNDING").json()["total"]
        trades = len(call(venue, "GET", "/api/v3/myTrades", symbol="BTCUSDT").json())
        return order.status_code, transfers, trades, call(venue, "GET", "/api/v3/account").json()["balances"]

    _, transfers, trades, balances = seen()
    venue.control("POST", "faults", kind="stale_reads", lag_ms=700)
    assert call(venue, "POST", "/api/v3/order", **limit_ioc("lagging")).ok
    assert call(venue, "POST", "/sapi/v1/asset/transfer", type="MAIN_FUNDING", asset="BTC", amount="0.5").ok
    assert seen() == (400, transfers, trades, balances)
    time.sleep(0.8)
    status, transfers_later, trades_later, balances_later = seen()
    assert (status, transfers_later) == (200, transfers + 1)
    assert trades_later > trades
    assert balances_later != balances


def test_a_thin_book_fills_in_part(venue):
    switch(venue, "thin_book", factor="0.001")
    thin = call(venue, "POST", "/api/v3/order", **limit_ioc("thin", quantity="1")).json()
    assert thin["status"] == "EXPIRED"
    assert 0 < float(thin["executedQty"]) < 1


def test_system_status_tells_of_maintenance(venue):
    assert requests.get(f"{venue.url}/sapi/v1/system/status", timeout=10).json()["status"] == 0
    venue.control("POST", "faults", kind="maintenance", path="/api/")
    assert requests.get(f"{venue.url}/sapi/v1/system/status", timeout=10).json()["status"] == 1


def test_faults_are_listed_and_removed_and_bad_ones_refused(venue):
    first = switch(venue, "latency", delay_ms=1)
    listed = venue.control("POST", "faults", kind="cut_body", probability=0)
    assert [fault["kind"] for fault in venue.control("GET", "faults")] == ["latency", "cut_body"]
    venue.control("DELETE", f"faults/{first['fault_id']}")
    assert [fault["fault_id"] for fault in venue.control("GET", "faults")] == [listed["fault_id"]]
    several = [{"kind": "latency"}, {"kind": "nonsense"}]
    answer = requests.post(f"{venue.url}/paper/faults", json=several, timeout=10)
    assert answer.status_code == 400
    assert len(venue.control("GET", "faults")) == 1
    assert requests.delete(f"{venue.url}/paper/faults/999", timeout=10).status_code == 404
