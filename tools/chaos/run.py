"""One run on a stack that is up: load and storm together, then letting go, the drain, the audit and the proof."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import DatabaseError, connections
from django.utils import timezone

import audit
from audit.findings import Report
from counter.models import Quote
from infra.coordination import clock
from settlement.venues.ccxt_venue import venue
from tools.chaos import expiring, gain, venue_faults
from tools.chaos.adversary import Adversary
from tools.chaos.expiring import Expiring
from tools.chaos.gain import Gain
from tools.chaos.options import Options
from tools.chaos.proof import Proof, prove
from tools.chaos.schedule import Step
from tools.chaos.stage import Stage
from tools.chaos.storm import Storm
from tools.chaos.true_prices import Watching
from tools.chaos.venue_faults import ODD_BOOKS
from tools.demo import figures
from tools.demo.customers import DEPOSIT_USDT, fund_one
from tools.demo.market import READY_WITHIN_SECONDS, NotReady, tradable_symbols
from tools.load.customers import Load
from tools.load.heard import Heard

CUSTOMERS, ADVERSARIES = 40, 4
SYMBOLS_BY_COIN = 8
QUOTED_WITHIN = timedelta(seconds=15)  # what is listed; the load begins then
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
    gain: Gain | None  # of a venue whose true prices can be asked for
    expired: Expiring
    positions: dict[str, int]  # in what has expired, by state


def run(*, stage: Stage, options: Options, steps: list[Step], tell: Callable[[str], Any]) -> Result:
    """Send and break for the options' time, mend, wait, audit. Raises: NotReady when the stack cannot trade."""
    run_id = f"chaos-{uuid4().hex[:8]}"
    tell("prices, open books, customers")
    symbols = tradable_symbols(by_coin=SYMBOLS_BY_COIN)
    expired = _expiring(stage, options)
    symbols += expired.symbols
    start = figures.start_of(run_id)
    load = Load(
        url=stage.info.web_url,
        tokens=_customers("chaos", CUSTOMERS, run_id),
        symbols=symbols,
        orders=options.orders_per_s * options.minutes * 60,
        seconds=options.minutes * 60,
        run_id=run_id,
        seed=options.seed,
    )
    storm = Storm(steps, stage.injections)
    if not any(injection.startswith("fault:") for injection in stage.injections):
        _together(load, storm, tell)
        return _result(load, storm, start, expired, None, tell)
    watching = Watching(
        partial(venue_faults.true_prices, stage.venue_url),
        coins={f"{coin}USDT": coin for coin in settings.COINS},
        clock=clock.of("default").now,
    )
    adversary = Adversary(
        load,
        tokens=_customers("chaos-adversary", ADVERSARIES, run_id),
        symbols=symbols,
        is_odd=partial(storm.lasts, ODD_BOOKS),
        shown=partial(venue_faults.shown_prices, stage.venue_url),
        clock=clock.of("default").now,
        seed=options.seed,
    )
    watched_from = timezone.now()
    watching.start()
    adversary.begin()
    try:
        _together(load, storm, tell)
    finally:
        adversary.stop()
        venue_faults.clear(stage.venue_url)

    def measured() -> Gain:
        watching.stop()
        return gain.measure(
            start=start,
            prices=watching.prices,
            adversaries=set(adversary.sent),
            attempts=adversary.attempts,
            watched_from=watched_from,
        )

    return _result(load, storm, start, expired, measured, tell)


def _result(
    load: Load,
    storm: Storm,
    start: figures.Start,
    expired: Expiring,
    measured: Callable[[], Gain] | None,
    tell: Callable[[str], Any],
) -> Result:
    tell("everything is whole again: waiting for the last report")
    drain_s, audited = _drained(time.monotonic(), expired)
    return Result(
        heard=load.heard,
        storm=storm,
        drain_s=drain_s,
        audited=audited,
        proof=prove(load.heard, start),
        gain=measured() if measured else None,
        expired=expired,
        positions=expired.positions(),
    )


def _customers(name: str, count: int, run_id: str) -> list[str]:
    """Tokens of customers with USDT."""
    return [
        fund_one(reference=f"{name}-{number}", amount=DEPOSIT_USDT * 4, run_id=run_id, now=timezone.now())[1]
        for number in range(count)
    ]


def _expiring(stage: Stage, options: Options) -> Expiring:
    """List what will expire, and wait until it is quoted. Raises: NotReady."""
    begins_at = timezone.now() + QUOTED_WITHIN
    expired = expiring.list_expiring(begins_at=begins_at, seconds=options.minutes * 60, now=timezone.now())
    expiring.quote_them(stage.info)
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        quoted = Quote.objects.filter(option__symbol__in=expired.symbols, ask__isnull=False).count()
        if quoted == len(expired.symbols):
            return expired
        time.sleep(POLL_SECONDS)
    raise NotReady("what expires during the run is not quoted: look at the log of feed")


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


def _drained(since: float, expired: Expiring) -> tuple[float | None, Report]:
    """Seconds until all was settled and reported and no row was unfinished (None: too long), and the last audit."""
    for connection in connections.all():
        connection.close()  # the server may have been restarted since
    while not _is_done(expired) and time.monotonic() - since < DRAINED_WITHIN_SECONDS:
        time.sleep(POLL_SECONDS)
    while True:
        drain_s = time.monotonic() - since
        audited = audit.run(now=timezone.now(), venue=venue())
        is_done = not (audited.in_flight or audited.unchecked) and _is_done(expired)
        if is_done or audited.broken or drain_s > DRAINED_WITHIN_SECONDS:
            return (round(drain_s, 1) if is_done else None), audited
        time.sleep(POLL_SECONDS)


def _is_done(expired: Expiring) -> bool:
    try:
        return figures.all_reported() and not expired.unsettled()
    except DatabaseError:
        for connection in connections.all():
            connection.close()
        return False
