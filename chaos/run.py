"""One run on a stack that is up: load and storm together, then letting go, the drain, the audit and the proof."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.db import DatabaseError, connections
from django.utils import timezone

import audit
from audit.findings import Report
from chaos import venue_faults
from chaos.answers import Heard
from chaos.load import Load
from chaos.options import Options
from chaos.proof import Proof, prove
from chaos.schedule import Step
from chaos.stage import Stage
from chaos.storm import Storm
from demo import figures
from demo.customers import DEPOSIT_USDT, fund_one
from demo.market import tradable_symbols
from settlement.venues.ccxt_venue import venue

CUSTOMERS = 40
SYMBOLS_BY_COIN = 8
DRAINED_WITHIN_SECONDS = 180.0
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that a run found; `drain_s` is None when the drain took too long."""

    heard: Heard
    storm: Storm
    drain_s: float | None
    audited: Report
    proof: Proof


def run(*, stage: Stage, options: Options, steps: list[Step], tell: Callable[[str], Any]) -> Result:
    """Send and break for the options' time, mend, wait, audit. Raises: NotReady when the stack cannot trade."""
    run_id = f"chaos-{uuid4().hex[:8]}"
    tell("prices, open books, customers")
    symbols = tradable_symbols(by_coin=SYMBOLS_BY_COIN)
    tokens = [
        fund_one(reference=f"chaos-{number}", amount=DEPOSIT_USDT, run_id=run_id, now=timezone.now())[1]
        for number in range(CUSTOMERS)
    ]
    start = figures.start_of(run_id)
    load = Load(
        url=stage.info.web_url,
        tokens=tokens,
        symbols=symbols,
        orders_per_s=options.orders_per_s,
        seconds=options.minutes * 60,
        run_id=run_id,
        seed=options.seed,
    )
    storm = Storm(steps, stage.injections)
    _together(load, storm, tell)
    if any(injection.startswith("fault:") for injection in stage.injections):
        venue_faults.clear(stage.venue_url)
    tell("everything is whole again: waiting for the last report")
    drain_s, audited = _drained(time.monotonic())
    return Result(
        heard=load.heard, storm=storm, drain_s=drain_s, audited=audited, proof=prove(load.heard, start)
    )


def _together(load: Load, storm: Storm, tell: Callable[[str], Any]) -> None:
    """Load and storm at once; the storm ends with the load, however that ends."""
    breaking = threading.Thread(target=storm.run, name="storm")
    sending = threading.Thread(target=load.run, name="load")
    breaking.start()
    sending.start()
    try:
        while breaking.is_alive():
            breaking.join(timeout=10)
            tell(
                f"{len(storm.injected)} injected, {len(load.heard.accepted):,} accepted, "
                f"{len(load.heard.without_outcome):,} without an outcome yet"
            )
    finally:
        storm.stop()
        breaking.join()
    sending.join()


def _drained(since: float) -> tuple[float | None, Report]:
    """Seconds until all was reported and no row was unfinished (None: longer than allowed), and the last audit."""
    for connection in connections.all():
        connection.close()  # the server may have been restarted since
    while not _all_reported() and time.monotonic() - since < DRAINED_WITHIN_SECONDS:
        time.sleep(POLL_SECONDS)
    while True:
        drain_s = time.monotonic() - since
        audited = audit.run(now=timezone.now(), venue=venue())
        is_done = not (audited.in_flight or audited.unchecked) and _all_reported()
        if is_done or audited.broken or drain_s > DRAINED_WITHIN_SECONDS:
            return (round(drain_s, 1) if is_done else None), audited
        time.sleep(POLL_SECONDS)


def _all_reported() -> bool:
    try:
        return figures.all_reported()
    except DatabaseError:
        for connection in connections.all():
            connection.close()
        return False
