"""What the demo tells: amounts with their units, planned refusals apart from others, and where to look."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from audit.findings import Report
from tools.demo.figures import Pipeline
from tools.demo.progress import view
from tools.demo.run import _as_typed
from tools.demo.sent import Sent
from tools.demo.story import tell

AUDITED = Report(at=datetime(2026, 1, 1, tzinfo=UTC), seconds=1.0, results=())
LATENCY = {name: {"p50": 1.0, "p99": 2.0} for name in ("accept", "settle", "venue", "settle_above_venue")}
BTC = {
    "orders": 5,
    "venue_orders": 2,
    "bought": "0.30000000",
    "sold": "0.10000000",
    "crossed": "0.10000000",
    "converted": "0.20000000",
    "fees_usdt": "18.00000000",
    "fees_saved_usdt": "18.00",
}
PNL = {"spread": "30", "slippage": "-1.5", "fees": "-18", "rounding": "0.000001", "net": "10.500001"}


def report(**orders):
    counts = {"submitted": 10, "accepted": 7, "settled": 7, "reported": 7, "unanswered": 0}
    refused = {"rejected_by_code": {"insufficient_balance": 3}, "rejected_as_planned": 3}
    return {
        "orders": {**counts, **refused, **orders},
        "latency_ms": LATENCY,
        "netting": {"BTC": BTC},
        "pnl_usdt": PNL,
    }


def told(made):
    out = io.StringIO()
    complete = tell(Console(file=out, width=200), made, AUDITED, logs="var/log")
    return complete, " ".join(out.getvalue().replace("│", " ").split())


def test_netting_is_told_in_coin_and_what_it_saved_in_usdt():
    complete, text = told(report())
    assert complete
    for line in (
        "coin needed by opens 0.30000000 BTC",
        "crossed inside the desk 0.10000000 BTC",
        "converted at the venue 0.20000000 BTC",
        "fees saved by netting, about 18.00 USDT",
        "total +10.500001",
    ):
        assert line in text


def test_nothing_is_said_to_be_saved_where_nothing_was_converted():
    _, text = told(report() | {"netting": {"BTC": {**BTC, "fees_saved_usdt": None}}})
    assert "fees saved by netting, about ? USDT" in text


def test_a_planned_refusal_is_not_told_as_a_failure():
    _, text = told(report())
    assert "refused as planned 3: one customer has only 25 USDT" in text
    assert "insufficient_balance" not in text
    _, text = told(report(rejected_by_code={"insufficient_balance": 4, "price_moved": 1}))
    assert "refused 1: insufficient_balance." in text
    assert "refused 1: price_moved." in text


@pytest.mark.parametrize("orders", [{"settled": 6}, {"reported": 6}, {"unanswered": 1}])
def test_what_did_not_come_through_is_said_with_where_to_look(orders):
    complete, text = told(report(**orders))
    assert not complete
    assert "see the tables above and var/log" in text


def test_the_live_view_counts_planned_refusals_apart():
    out = io.StringIO()
    sent = Sent(paupers=frozenset(["poor"]))
    sent.sent([str(number) for number in range(9)])
    for number, (code, customer) in enumerate(
        [*[("insufficient_balance", "poor")] * 3, ("insufficient_balance", "rich"), ("price_moved", "poor")]
    ):
        sent.refuse(str(number), code, customer=customer)
    assert (sent.submitted, len(sent.without_outcome)) == (9, 4)
    Console(file=out, width=200).print(
        view(orders=9, sent=sent, pipeline=Pipeline(5, 5, 5, 5), elapsed_seconds=1.0)
    )
    assert "refused as planned 3 refused otherwise 2" in " ".join(out.getvalue().split())


def test_paths_are_told_as_they_can_be_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _as_typed(tmp_path / "var" / "demo-report.json") == "var/demo-report.json"
    monkeypatch.chdir("/")
    assert _as_typed(tmp_path / "elsewhere").lstrip("/") == str(tmp_path / "elsewhere").lstrip("/")
