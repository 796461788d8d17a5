"""Place orders from threads of this process, with a worker of its own; one line of JSON tells how fast they came out.

python -m tools.bench.peers.plain_chain.measure ORDERS WORKER_PROCESSES

place_order is called directly, not over HTTP, and customers hardly ever wait for one another: both favour the peer.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import django
from celery import current_app

from tools.bench.cpu import per_order_ms
from tools.bench.load.counts import percentile
from tools.bench.peers.database import WATCHED_VARIABLE
from tools.bench.watch import Watch
from tools.embedded.processes import die_with_parent

ACCOUNTS = 100
SYMBOLS = [f"BTC-27NOV26-{strike}-C" for strike in range(80_000, 96_000, 1_000)]
THREADS = 2
WARM_UP_ORDERS = 60
READY_WITHIN_SECONDS = 60.0
REPORTED_WITHIN_SECONDS = 120.0


def main() -> None:
    die_with_parent(signal.SIGTERM)
    count, processes = int(sys.argv[1]), int(sys.argv[2])
    django.setup()
    from tools.bench.peers.plain_chain.celery import app

    app.set_default()
    accounts = _accounts()
    with _worker(processes) as worker_pid:
        _place(accounts, WARM_UP_ORDERS)
        _wait_for_reports()
        watch = Watch(lambda: {"worker": worker_pid, **json.loads(os.environ[WATCHED_VARIABLE])})
        before = {**watch.cpu_seconds(), "placing": time.process_time()}
        first, took = _place(accounts, count)
        _wait_for_reports()
        after = {**watch.cpu_seconds(), "placing": time.process_time()}
    rate = _reported_per_s(first, count)
    p50, p99 = (percentile(took, share) for share in (0.50, 0.99))
    told: dict[str, Any] = {"orders_per_s": rate, "p50_ms": (p50 or 0) * 1000, "p99_ms": (p99 or 0) * 1000}
    used = {name: seconds - before[name] for name, seconds in after.items()}
    told |= {"cpu_ms": per_order_ms(used, count)}
    print(json.dumps(told | {"orders": count, "worker_processes": processes}))


def _accounts() -> list[int]:
    from tools.bench.peers.plain_chain.models import Account

    for number in range(ACCOUNTS):
        Account.objects.get_or_create(name=f"{number}", defaults={"balance": Decimal(10**9)})
    return list(Account.objects.values_list("pk", flat=True))


def _place(accounts: list[int], count: int) -> tuple[int, list[float]]:
    """Place `count` orders; the first one's id and the seconds that each took."""
    from tools.bench.peers.plain_chain.models import Order
    from tools.bench.peers.plain_chain.orders import place_order

    newest = Order.objects.order_by("-pk").values_list("pk", flat=True).first() or 0

    def place(number: int) -> float:
        chosen = random.Random(number)
        started = time.perf_counter()
        place_order(
            account_id=accounts[number % len(accounts)],
            symbol=chosen.choice(SYMBOLS),
            contracts=chosen.randint(1, 3),
            premium=Decimal(chosen.randint(100, 500)) / 10_000,
        )
        return time.perf_counter() - started

    with ThreadPoolExecutor(THREADS) as pool:
        return newest + 1, list(pool.map(place, range(count)))


def _wait_for_reports() -> None:
    from tools.bench.peers.plain_chain.models import Order

    deadline = time.monotonic() + REPORTED_WITHIN_SECONDS
    while Order.objects.exclude(state=Order.State.REPORTED).exists():
        assert time.monotonic() < deadline, "orders are left"
        time.sleep(0.05)


def _reported_per_s(first: int, count: int) -> float:
    """Orders a second from the first one placed to the last one reported."""
    from django.db.models import Count, Max, Min

    from tools.bench.peers.plain_chain.models import Order

    run = Order.objects.filter(pk__gte=first).aggregate(
        orders=Count("pk"), began=Min("placed_at"), ended=Max("reported_at")
    )
    assert run["orders"] == count, run
    return count / (run["ended"] - run["began"]).total_seconds()


@contextmanager
def _worker(processes: int) -> Iterator[int]:
    """Celery's worker, until the block ends; its pid."""
    command = [
        *(sys.executable, "-m", "celery", "-A", "tools.bench.peers.plain_chain.celery", "worker"),
        *("--pool", "prefork", "--concurrency", str(processes), "--loglevel", "ERROR"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    worker = subprocess.Popen(command, stdout=sys.stderr, preexec_fn=partial(die_with_parent, signal.SIGTERM))
    try:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not current_app.control.ping(timeout=0.3):
            assert time.monotonic() < deadline, "the worker does not answer"
            assert worker.poll() is None, "the worker ended"
        yield worker.pid
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main()
