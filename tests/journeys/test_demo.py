"""The whole way of an order through every real process, in a stack that the demo starts and stops."""

import json
import re
from pathlib import Path

from cockpit import following
from cockpit.management.commands import follow
from infra.observability import correlation
from tests.support.demo_run import assert_all_came_through, begin_migrated, finished, start_demo
from tools import stack


def test_every_order_goes_from_the_customer_to_the_venue_and_back(tmp_path):
    var_dir = tmp_path / "var"
    begin_migrated(var_dir)
    demo = start_demo(var_dir, DEMO_ORDERS="120", DEMO_SECONDS="6", DEMO_CUSTOMERS="5")
    try:
        report = finished(demo, var_dir)
    finally:
        stopped = stack.stop(var_dir=var_dir)
    assert_all_came_through(report)
    assert report["venue"]["orders"] > 0
    assert set(report["netting"]) == {"BTC", "ETH"}
    assert all(report["latency_ms"][step]["p99"] > 0 for step in ("accept", "settle", "venue"))
    assert not stopped, "the demo stops what it started"
    assert secrets_in_logs(var_dir) == {}
    assert_orders_can_be_followed(var_dir, report["orders"]["reported"])


def assert_orders_can_be_followed(var_dir: Path, count: int) -> None:
    """Each order by its id alone, from process to process, in the lines that they wrote."""
    lines = list(follow.lines_of(var_dir / "log"))
    told = " ".join(line["orders"] for line in lines if line["event"] == "settlements taken")
    order_ids = correlation.named(told)
    assert len(order_ids) == count
    for order_id in order_ids:
        found = following.follow(lines, order_id)
        events = [line["event"] for line in found]
        assert {"orders taken in", "orders netted", "orders reported", "settlements taken"} <= set(events)
        assert {"web", "worker"} < {line["process"] for line in found}
        conversions = {line["conversion"] for line in found if line["event"] == "moved"}
        assert len(conversions) >= 1
        states = [line["to_state"] for line in found if line["event"] == "moved"]
        assert states[-2:] == ["FILLED", "BOOKED"]
    [batches] = {tuple(line.get("batch", "").split()) for line in following.follow(lines, order_ids[0])[:1]}
    assert batches, "the first thing told of an order is the message that it went out with"
    assert any(line["process"] == "worker" and line.get("batch") for line in lines), "and tasks name it"


def secrets_in_logs(var_dir: Path) -> dict[str, list[str]]:
    """Which of the stack's secrets each process has written; customers' tokens are told by their length."""
    known = {**json.loads((var_dir / "keys.json").read_text()), "venue secret": "paper-secret"}
    found = {}
    for log in sorted((var_dir / "log").glob("*.log")):
        text = log.read_text()
        seen = [name for name, secret in known.items() if secret in text]
        seen += ["token"] if re.search(r"\b[0-9a-f]{40}\b", text) else []
        if seen:
            found[log.name] = seen
    return found
