"""One demo run inside a stack that is up."""

import json
import os
import threading
import time
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.db import DatabaseError, connections
from django.utils import timezone
from rich.console import Console
from rich.live import Live

import audit
from counter.pricing.impact import Depths
from counter.trading.depths import set_depths
from settlement.venues.ccxt_venue import venue
from tools.demo import figures
from tools.demo.customers import fund
from tools.demo.market import tradable_symbols
from tools.demo.progress import view
from tools.demo.sent import Sent
from tools.demo.sizes import Sizes
from tools.demo.story import report_of, tell
from tools.load.customers import Load

DRAINED_WITHIN_SECONDS = 120.0
FRAME_SECONDS = 0.5
SYMBOLS_BY_COIN = 8
DEPTHS = Depths(delta=Decimal(5_000_000), vega=Decimal(50_000), premium=Decimal(5_000_000))


def run(*, console: Console, sizes: Sizes, web_url: str, report_path: Path) -> int:
    """Fund, send, wait, audit, tell; 0 only when everything accepted is reported and nothing is broken."""
    run_id = f"demo-{uuid4().hex[:8]}"
    with console.status("waiting for prices and open books"):
        symbols = tradable_symbols(by_coin=SYMBOLS_BY_COIN)
    _charge_for_size()
    console.print(
        f"[bold]{sizes.orders:,} orders[/bold] of {sizes.customers} customers in {sizes.seconds} s at {web_url}, "
        f"on {len(symbols)} options",
        highlight=False,
    )
    customers = fund(count=sizes.customers, run_id=run_id, now=timezone.now())
    sent = Sent(paupers=frozenset(customer.token for customer in customers if customer.pauper))
    load = Load(
        url=web_url,
        tokens=[customer.token for customer in customers],
        symbols=symbols,
        orders=sizes.orders,
        seconds=sizes.seconds,
        run_id=run_id,
        seed=run_id,
        batch_share=0.0,
        heard=sent,
    )
    start = figures.start_of(run_id)
    _watch(console, load, sent, start, sizes.orders)
    with console.status("auditing"):
        audited = audit.run(now=timezone.now(), venue=venue())
    report = report_of(sent, start, audited)
    report_path.write_text(json.dumps(report, indent=2) + "\n")
    complete = tell(console, report, audited, logs=_as_typed(report_path.parent / "log"))
    console.print(f"written to {_as_typed(report_path)}", style="dim", soft_wrap=True)
    return 0 if complete else 1


def _charge_for_size() -> None:
    """As an exchange would have it: the demo's orders pay for what they do to the book, if by little."""
    for coin in settings.COINS:
        set_depths(underlying=coin, to=DEPTHS, reason="the demo", by="demo", now=timezone.now())


def _as_typed(path: Path) -> str:
    """A path as it can be typed where the demo was started."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _watch(console: Console, load: Load, sent: Sent, start: figures.Start, orders: int) -> None:
    """Show the way of the orders until all that was accepted is reported, or it takes too long."""
    sender = threading.Thread(target=load.run, name="load")
    started = time.monotonic()
    sender.start()
    pipeline, problem, sent_at = figures.Pipeline(0, 0, 0, 0), "", None
    with Live(console=console, refresh_per_second=4, transient=not console.is_terminal) as live:
        while True:
            try:
                pipeline, problem = figures.pipeline(start, settings.COUNTER_SOURCE), ""
            except DatabaseError as error:
                problem = f"database: {error}".strip()
                for connection in connections.all():
                    connection.close()
            elapsed = time.monotonic() - started
            live.update(
                view(orders=orders, sent=sent, pipeline=pipeline, elapsed_seconds=elapsed, problem=problem)
            )
            if not sender.is_alive():
                sent_at = sent_at or time.monotonic()
                drained = not problem and pipeline.reported == pipeline.accepted
                if drained or time.monotonic() - sent_at > DRAINED_WITHIN_SECONDS:
                    break
            time.sleep(FRAME_SECONDS)
    sender.join()
