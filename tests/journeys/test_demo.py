"""The whole way of an order through every real process, once in peace and once with processes killed under it."""

import json
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from config import stack, trail
from config.management.commands import follow
from config.stack.supervision import wait_until

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_SECONDS = 120
DONE_WITHIN_SECONDS = 240

pytestmark = pytest.mark.slow


def start_demo(var_dir: Path, **sizes: str) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with (var_dir.parent / "demo.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "demo"],
            cwd=ROOT,
            env={**kept, "VAR_DIR": str(var_dir), **sizes},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def finished(demo: subprocess.Popen[bytes], var_dir: Path) -> dict:
    """The report of a demo that ended well; otherwise what it printed."""
    try:
        code = demo.wait(DONE_WITHIN_SECONDS)
    finally:
        if demo.poll() is None:
            demo.terminate()
            demo.wait(60)
        stack.stop(var_dir=var_dir)
    assert code == 0, (var_dir.parent / "demo.log").read_text()[-4000:]
    return json.loads((var_dir / "demo-report.json").read_text())


def assert_all_came_through(report: dict) -> None:
    orders = report["orders"]
    assert orders["accepted"] == orders["settled"] == orders["reported"] > 0
    assert orders["submitted"] == orders["accepted"] + orders["rejected"]
    assert orders["unanswered"] == 0
    assert report["audit"] == {"broken": 0, "in_flight": 0, "unchecked": []}


def test_every_order_goes_from_the_customer_to_the_venue_and_back(tmp_path):
    var_dir = tmp_path / "var"
    demo = start_demo(var_dir, DEMO_ORDERS="120", DEMO_SECONDS="6", DEMO_CUSTOMERS="5")
    report = finished(demo, var_dir)
    assert_all_came_through(report)
    assert report["venue"]["orders"] > 0
    assert set(report["netting"]) == {"BTC", "ETH"}
    assert all(report["latency_ms"][step]["p99"] > 0 for step in ("accept", "settle", "venue"))
    assert stack.running(var_dir) is None, "the demo stops what it started"
    assert secrets_in_logs(var_dir) == {}
    assert_orders_can_be_followed(var_dir, report["orders"]["reported"])


def assert_orders_can_be_followed(var_dir: Path, count: int) -> None:
    """Each order by its id alone, from process to process, in the lines that they wrote."""
    lines = list(follow.lines_of(var_dir / "log"))
    told = " ".join(line["orders"] for line in lines if line["event"] == "settlements taken")
    order_ids = trail.named(told)
    assert len(order_ids) == count
    for order_id in order_ids:
        found = trail.follow(lines, order_id)
        events = [line["event"] for line in found]
        assert {"orders taken in", "orders netted", "orders reported", "settlements taken"} <= set(events)
        assert {"web", "worker"} < {line["process"] for line in found}
        conversions = {line["conversion"] for line in found if line["event"] == "moved"}
        assert len(conversions) >= 1
        states = [line["to_state"] for line in found if line["event"] == "moved"]
        assert states[-2:] == ["FILLED", "BOOKED"]
    [batches] = {tuple(line.get("batch", "").split()) for line in trail.follow(lines, order_ids[0])[:1]}
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


def test_processes_killed_in_the_middle_lose_and_double_nothing(tmp_path):
    var_dir = tmp_path / "var"
    demo = start_demo(var_dir, DEMO_ORDERS="300", DEMO_SECONDS="15", DEMO_CUSTOMERS="5")
    killed = []
    try:
        kill_one_after_another(demo, var_dir, killed)
    finally:
        report = finished(demo, var_dir)
    assert len(killed) == 4
    assert_all_came_through(report)


def kill_one_after_another(demo: subprocess.Popen[bytes], var_dir: Path, killed: list[str]) -> None:
    """While orders flow: the broker, the desk's processes, and the venue, each with kill -9."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    log = var_dir.parent / "demo.log"
    while b"orders" not in log.read_bytes():
        assert demo.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for name in ("valkey", "worker", "intake", "venue"):
        time.sleep(2)
        assert wait_until(partial(is_running, var_dir, name), within_seconds=30)
        process_of(var_dir, name).kill()
        killed.append(name)


def process_of(var_dir: Path, name: str) -> psutil.Process:
    info = stack.running(var_dir)
    assert info is not None
    pid = {process.name: process.pid for process in info.processes}[name]
    if pid is None:  # never a signal to "no process": that is the caller itself, or its group
        raise psutil.NoSuchProcess(-1, name)
    return psutil.Process(pid)


def is_running(var_dir: Path, name: str) -> bool:
    try:
        return process_of(var_dir, name).is_running()
    except psutil.NoSuchProcess:
        return False
