"""The venue as a process: starting, stopping, being killed, and knowing everything again."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import requests

from tests.support.paper_process import ROOT, VenueProcess, call, limit_ioc, running_venue

ORDERS_BEFORE_KILL = 40


def remembered(venue):
    state = venue.state()
    return {name: state[name] for name in ("accounts", "orders", "trades", "transfers")}


def test_a_stopped_venue_knows_everything_again(tmp_path):
    journal = ("--journal", str(tmp_path / "journal.jsonl"))
    with running_venue(*journal, "--fund", "SPOT:USDT=123456.78") as venue:
        call(venue, "POST", "/api/v3/order", **limit_ioc("filled"))
        call(venue, "POST", "/api/v3/order", **limit_ioc("resting", timeInForce="GTC", price="50000"))
        call(venue, "POST", "/sapi/v1/asset/transfer", type="FUNDING_MAIN", asset="BTC", amount="1.5")
        call(venue, "POST", "/sapi/v1/bnbBurn", spotBNBBurn="true")
        before = remembered(venue)
        assert venue.stop() == 0
    with running_venue(*journal, "--fund", "SPOT:USDT=999") as again:
        assert remembered(again) == before
        listed = call(again, "GET", "/api/v3/openOrders").json()
        assert [order["clientOrderId"] for order in listed] == ["resting"]
        newer = call(again, "POST", "/api/v3/order", **limit_ioc("newer")).json()
        assert newer["orderId"] > max(order["orderId"] for order in before["orders"])
        assert newer["fills"][0]["tradeId"] > max(trade["id"] for trade in before["trades"])


def test_every_acknowledged_order_survives_kill_9(tmp_path):
    journal = ("--journal", str(tmp_path / "journal.jsonl"), "--orders-per-10s", "100000")
    acknowledged = {}

    def trade(venue, worker):
        for number in range(1_000_000):
            name = f"k{worker}-{number}"
            try:
                answer = call(venue, "POST", "/api/v3/order", **limit_ioc(name, quantity="0.001"))
            except requests.ConnectionError:
                return
            acknowledged[name] = answer.json()

    venue = VenueProcess(*journal)
    threads = [threading.Thread(target=trade, args=(venue, worker)) for worker in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(acknowledged) < ORDERS_BEFORE_KILL and time.monotonic() < deadline:
        time.sleep(0.01)
    venue.kill()
    for thread in threads:
        thread.join()
    assert len(acknowledged) >= ORDERS_BEFORE_KILL
    with (tmp_path / "journal.jsonl").open("ab") as torn:
        torn.write(b'{"event":"OrderChanged","order":{"order_id":')
    with running_venue(*journal) as again:
        orders = {order["clientOrderId"]: order for order in again.state()["orders"]}
        trades = again.state()["trades"]
    for name, answer in acknowledged.items():
        assert orders[name]["executedQty"] == answer["executedQty"]
        told = {fill["tradeId"] for fill in answer["fills"]}
        assert told == {trade["id"] for trade in trades if trade["orderId"] == answer["orderId"]}
    # At most the one order of each worker that was under way when the venue died.
    assert len(orders) - len(acknowledged) <= 3


@pytest.mark.timed
def test_it_stops_promptly_with_a_caller_still_waiting(tmp_path):
    def wait(venue):
        with pytest.raises(requests.ConnectionError):
            call(venue, "GET", "/api/v3/account")

    with running_venue("--journal", str(tmp_path / "journal.jsonl")) as venue:
        venue.control("POST", "faults", kind="latency", delay_ms=60_000)
        waiting = threading.Thread(target=wait, args=(venue,))
        waiting.start()
        time.sleep(0.2)
        started = time.monotonic()
        assert venue.stop() == 0
        assert time.monotonic() - started < 4
        waiting.join()


def test_a_replay_goes_on_after_a_crash_and_begins_again_after_a_stop(tmp_path):
    recording = tmp_path / "BTCUSDT_trades.csv"
    rows = "\n".join(f"{second * 1000},{second},{1000 + second},1,0" for second in range(3600))
    recording.write_text(f"trade_time_ms,trade_id,price,qty,is_buyer_maker\n{rows}\n")
    arguments = (
        "--journal",
        str(tmp_path / "journal.jsonl"),
        "--market-data",
        str(recording),
        "--speed",
        "20",
    )

    def price(venue):
        return float(venue.state()["prices"]["BTCUSDT"]["ask"])

    with running_venue(*arguments) as venue:
        first = price(venue)
        time.sleep(1)
        before = price(venue)
        venue.kill()
    with running_venue(*arguments) as again:
        resumed = price(again)
        assert resumed >= before >= first + 15
        assert again.stop() == 0
    with running_venue(*arguments) as anew:
        assert price(anew) < resumed


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--market-data", "missing.csv.gz"], "missing.csv.gz"),
        (["--fund", "SPOT:DOGE=1"], "SPOT|FUNDING"),
        (["--account", "only-a-name"], "NAME:KEY:SECRET"),
        (["--speed", "-1"], "below zero"),
    ],
)
def test_it_refuses_to_start_with_nonsense_and_says_why(arguments, reason):
    result = subprocess.run(
        [sys.executable, "-m", "tools.paper_venue", "--port", "0", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert result.returncode == 2
    assert reason in result.stderr
    assert result.stdout == ""


def test_a_journal_belongs_to_one_venue(tmp_path):
    journal = ["--journal", str(tmp_path / "journal.jsonl")]
    command = [sys.executable, "-m", "tools.paper_venue", "--port", "0", *journal]
    with running_venue(*journal):
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 2
    assert "JournalInUse" in second.stderr


def test_accounts_trade_apart():
    with running_venue("--account", "a:key-a:secret-a", "--account", "b:key-b:secret-b") as venue:
        first, second = {"key": "key-a", "secret": "secret-a"}, {"key": "key-b", "secret": "secret-b"}
        placed = call(venue, "POST", "/api/v3/order", **limit_ioc("mine"), **first).json()
        assert call(venue, "GET", "/api/v3/allOrders", symbol="BTCUSDT", **second).json() == []
        peek = call(venue, "GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"], **second)
        assert peek.json()["code"] == -2013
        crossed = call(venue, "GET", "/api/v3/account", key="key-a", secret="secret-b")
        assert crossed.json()["code"] == -1022


def test_limits_are_enforced_over_http():
    with running_venue("--weight-per-minute", "60", "--orders-per-10s", "2", "--ban-after", "1") as venue:
        orders = [call(venue, "POST", "/api/v3/order", **limit_ioc(f"o{n}")) for n in range(3)]
        # The third may fall into the next ten seconds.
        assert [answer.status_code for answer in orders[:2]] == [200, 200]
        statuses, last = [], None
        for _ in range(6):
            last = call(venue, "GET", "/api/v3/account")
            statuses.append(last.status_code)
        assert statuses.index(429) < statuses.index(418)
        assert last.status_code == 418
        assert int(last.headers["Retry-After"]) > 60
        assert last.json()["code"] == -1003


def test_the_package_needs_no_django():
    code = (
        "import sys, pkgutil, importlib, tools.paper_venue as paper\n"
        "for item in pkgutil.walk_packages(paper.__path__, 'tools.paper_venue.'):\n"
        "    if not item.name.endswith('__main__'): importlib.import_module(item.name)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'django']\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO")}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=30)


def test_sigint_stops_it_as_well():
    with running_venue() as venue:
        venue.process.send_signal(signal.SIGINT)
        assert venue.process.wait(timeout=60) == 0


def test_what_happened_to_one_account_is_told_alone():
    accounts = ("one", "two")
    with running_venue(*(f"--account={name}:key-{name}:secret-{name}" for name in accounts)) as venue:
        for name in accounts:
            keys = {"key": f"key-{name}", "secret": f"secret-{name}"}
            call(venue, "POST", "/api/v3/order", **keys, **limit_ioc(f"of-{name}"))
            call(
                venue, "POST", "/sapi/v1/asset/transfer", **keys, type="FUNDING_MAIN", asset="BTC", amount="1"
            )
        state = requests.get(f"{venue.url}/paper/state", params={"account": "two"}, timeout=10).json()
        assert list(state["accounts"]) == ["two"]
        assert [order["clientOrderId"] for order in state["orders"]] == ["of-two"]
        assert [entry["account"] for entry in state["trades"] + state["transfers"]] == ["two", "two"]
        assert (
            requests.get(f"{venue.url}/paper/state", params={"account": "x"}, timeout=10).status_code == 400
        )
