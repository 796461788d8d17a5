"""`python -m tools.bench.pages [--orders 5000000]`: how long the server takes for each page of staff and customers.

On the databases of the environment, filled up to so many finished orders first. Each address is asked for ROUNDS times
in this process, by a superuser, or by a customer of 10,000 positions: what is measured is the whole request but for the
network. Exits with 1 when the median of an address is over BOUND_MS. What the venue takes is told apart, as each answer
tells it (`Server-Timing`).
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import django
from rich.console import Console
from rich.table import Table

from tools.bench.plans.__main__ import counter_served, venue_served
from tools.embedded import hand_in

if TYPE_CHECKING:
    from tools.bench.pages.intervening import Step
    from tools.bench.plans.ground import Ground

ROUNDS = 5
BOUND_MS = 300.0
SLOWEST = 40


@dataclass(frozen=True, slots=True)
class Measured:
    """One address: what it is, its rows, its times of the server in ms, and the statements of one request."""

    address: str
    rows: int | None
    times_ms: list[float]
    cpu_ms: float
    venue_ms: float
    statements: int
    status: int

    @property
    def median_ms(self) -> float:
        """Of ROUNDS times, the venue's not counted."""
        return statistics.median(self.times_ms)


class _Statements:
    """Counts what is asked of both databases."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


def measure(step: "Step") -> Measured:
    """Ask ROUNDS times; the rows are those of a list. What the answer says was the venue's time is told apart."""
    from django.db import connections

    from cockpit.snapshot import shared

    times, cpu_times, venue_times, statements = [], [], [], _Statements()
    for _ in range(ROUNDS):
        step.prepare()
        shared.forget()
        statements.count = 0
        with ExitStack() as stack:
            for connection in connections.all():
                stack.enter_context(connection.execute_wrapper(statements))
            began, cpu_began = time.perf_counter(), time.thread_time()
            response = step.ask()
            took_ms = (time.perf_counter() - began) * 1000
            cpu_times.append((time.thread_time() - cpu_began) * 1000)
        venue_times.append(float(response.headers.get("Server-Timing", "dur=0").rpartition("=")[2]))
        times.append(took_ms - venue_times[-1])
    changes = (getattr(response, "context_data", None) or {}).get("cl")
    rows = None if changes is None else len(changes.result_list)
    cpu_ms, asked_ms = statistics.median(cpu_times), statistics.median(venue_times)
    return Measured(step.name, rows, times, cpu_ms, asked_ms, statements.count, response.status_code)


def all_pages(ground: "Ground") -> Iterator["Step"]:
    """Every page: what two people do, what a customer asks, the first one, /metrics, timelines, and lists with their
    searches and filters."""
    from counter.models import SyncOrder
    from tools.bench.pages import holding, intervening
    from tools.bench.plans import admin_pages

    yield from intervening.steps(ground)
    yield from holding.steps(ground)
    first, last = SyncOrder.objects.earliest("pk"), SyncOrder.objects.latest("pk")
    urls = ["/admin/", "/admin/figures/", "/metrics", "/admin/timeline/"]
    urls += [f"/admin/{page}/" for page in ("risk", "balances", "days", "best-execution")]
    urls += [f"/admin/timeline/?q={term}" for term in admin_pages.order_names(ground)]
    urls += [f"/admin/timeline/{order.pk}/" for order in (first, last)]
    for url in chain(urls, *(asked for _, asked in admin_pages.admin_addresses(ground))):
        yield intervening.Step(url, lambda: None, partial(ground.staff.get, url))


def commands(ground: "Ground") -> Iterator[tuple[str, float]]:
    """What people run: a reconciliation, the first one and the next, and the audit, in seconds."""
    from django.utils import timezone

    import audit
    from settlement import reconciliation

    def reconcile() -> None:
        reconciliation.reconcile(venue=ground.venue, clock=timezone.now, by="bench")

    def prove() -> None:
        audit.run(now=timezone.now(), venue=ground.venue)

    for name, run in (("reconcile, the first", reconcile), ("reconcile", reconcile), ("audit", prove)):
        began = time.perf_counter()
        run()
        yield name, time.perf_counter() - began


def _table(found: list[Measured], *, every: bool) -> Table:
    table = Table(
        "address",
        "rows",
        "median ms",
        "max ms",
        "of it CPU",
        "venue ms",
        "statements",
        title=f"{len(found)} addresses",
    )
    slowest = sorted(found, key=lambda each: -each.median_ms)
    for each in slowest if every else slowest[:SLOWEST]:
        style = "red" if each.median_ms > BOUND_MS else ""
        rows = "" if each.rows is None else str(each.rows)
        times = (f"{ms:.1f}" for ms in (each.median_ms, max(each.times_ms), each.cpu_ms))
        asked = f"{each.venue_ms:.1f}" if each.venue_ms else ""
        table.add_row(each.address, rows, *times, asked, str(each.statements), style=style)
    return table


def main() -> int:
    """Exit code 1 when a page is slow or does not answer."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.pages", description=__doc__)
    parser.add_argument("--orders", type=int, default=0, help="finished orders to fill up to first")
    parser.add_argument(
        "--all", action="store_true", help=f"print every address, not only the {SLOWEST} slowest"
    )
    parser.add_argument("--only", default="", help="measure addresses that contain this, and no command")
    options = parser.parse_args()
    hand_in(os.environ)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "CRITICAL")
    django.setup()
    from django.conf import settings

    settings.ALLOWED_HOSTS.append("testserver")
    with counter_served() as settings.COUNTER_URL, venue_served() as settings.VENUE_URL:
        return _run(options.orders, only=options.only, every=options.all)


def _run(orders: int, *, only: str, every: bool) -> int:
    from counter.models import SyncOrder
    from settlement.venues.ccxt_venue import venue
    from tools.bench.pages import intervening
    from tools.bench.plans import operations
    from tools.bench.plans.__main__ import fill_up
    from tools.bench.plans.ground import Ground

    fill_up(orders)
    ground = Ground(venue=venue(), orders=1, named=lambda name: nullcontext())
    intervening.Stuck(ground).mend()
    operations.work(ground)
    found = [measure(page) for page in all_pages(ground) if only in page.name]
    console = Console(width=170, highlight=False)
    console.print(_table(found, every=every))
    for name, seconds in commands(ground) if not only else ():
        console.print(f"{name}: {seconds:.1f} s")
    slow = [each for each in found if each.median_ms > BOUND_MS]
    wrong = [f"{each.address}: {each.status}" for each in found if each.status not in (200, 302)]
    orders_stored = f"{SyncOrder.objects.count():,} orders"
    console.print(
        f"{orders_stored}; {len(slow)} addresses over {BOUND_MS:.0f} ms; not answered: {wrong or 'none'}"
    )
    return 1 if slow or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
