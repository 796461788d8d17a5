"""What the load makes ready before its clock starts."""

import json
from collections import defaultdict

from tools.bench.load.job import Job
from tools.bench.load.process import ROOT
from tools.bench.load.schedule import requests


def job(**terms) -> Job:
    return Job(
        url="http://127.0.0.1:1",
        tokens=[f"token-{number}" for number in range(6)],
        symbols=["BTC-27NOV26-90000-C", "ETH-27NOV26-3000-P"],
        run_id="run",
        connections=4,
        **terms,
    )


def orders_of(request) -> list[dict]:
    body = json.loads(request.wire.partition(b"\r\n\r\n")[2])
    return body.get("orders", [body])


def test_an_open_loop_spreads_its_orders_evenly_over_its_seconds():
    made = requests(job(orders_each=5, seconds=3.0, rate=1000))
    assert sum(request.orders for request in made) == 3000
    assert [request.due_at for request in made[:3]] == [0.0, 0.005, 0.010]
    assert made[-1].due_at < 3.0


def test_a_closed_loop_has_what_it_may_need_at_once():
    made = requests(job(orders_each=100, seconds=1.0, prebuilt=4_000))
    assert len(made) == 40
    assert {request.due_at for request in made} == {0.0}


def test_a_customers_requests_go_over_one_connection():
    by_customer = defaultdict(set)
    for request in requests(job(orders_each=2, seconds=1.0, prebuilt=200)):
        token = next(line for line in request.wire.split(b"\r\n") if line.startswith(b"Authorization"))
        by_customer[token].add(request.connection)
    assert len(by_customer) == 6
    assert all(len(connections) == 1 for connections in by_customer.values())


def test_each_close_names_contracts_that_the_same_customer_still_holds():
    held, seen, closes = defaultdict(dict), set(), 0
    for request in requests(job(orders_each=10, seconds=1.0, prebuilt=6_000)):
        customer = request.wire.split(b"Token ")[1].split(b"\r\n")[0]
        for order in orders_of(request):
            assert order["client_order_id"] not in seen
            seen.add(order["client_order_id"])
            if order["type"] == "open":
                held[customer][order["client_order_id"]] = order["contracts"]
                continue
            closes += 1
            held[customer][order["opened_by"]] -= order["contracts"]
            assert held[customer][order["opened_by"]] >= 0
    assert 0.30 < closes / len(seen) < 0.38


def test_the_length_that_a_request_says_is_that_of_its_body():
    for orders_each in (1, 7):
        head, _, body = requests(job(orders_each=orders_each, seconds=1.0, prebuilt=7))[0].wire.partition(
            b"\r\n\r\n"
        )
        assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")


def test_the_load_is_started_where_its_modules_are_found():
    assert (ROOT / "manage.py").exists()
