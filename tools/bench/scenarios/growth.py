"""`growth`: the figures of `batch` and `end_to_end` with more and more earlier orders in both databases."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import psycopg

from tools.bench.medians import medians
from tools.bench.scenarios import batch, end_to_end
from tools.bench.session import Session
from tools.demo import figures

ORDERS_EACH = 1000
HISTORY = "tools.bench.history"


def run(session: Session) -> dict[str, Any]:
    """A stage for each number of earlier orders, and how each compares with the first.

    A full run takes a new stack for it; a quick one goes on with the orders that its stack has by then.
    """
    if find_spec(HISTORY) is None:
        session.note(f"growth: left out, for nothing fills the tables ({HISTORY} is not there)")
        return {"left_out": f"{HISTORY} is not there"}
    bed = session.new_bed("growth") if session.sizes.growth_on_new_stack else session.bed()
    end_to_end.warm_up(session)
    # As filling does: tables that are seconds old would be planned blindly.
    _refresh_statistics(bed.info.environment)
    stages: list[dict[str, Any]] = []
    filled = 0
    for orders in session.sizes.earlier_orders:
        if missing := orders - filled:
            with session.doing(f"growth: adding {missing:,} earlier orders"):
                import_module(HISTORY).fill(orders=missing, environment=bed.info.environment)
        filled = orders
        stages.append({"earlier_orders": figures.orders_stored()} | _stage(session))
    session.prove("growth")
    for stage in stages:
        for name in ("batch", "end_to_end"):
            stage[name]["of_first"] = _share(stage[name], stages[0][name])
    return {"stages": stages}


def _share(entry: dict[str, Any], first: dict[str, Any]) -> float | None:
    rate, of = entry["orders_per_s"], first["orders_per_s"]
    return round(rate / of, 3) if rate and of else None


def _refresh_statistics(environment: Mapping[str, str]) -> None:
    for url in (environment["DATABASE_URL"], environment["DESK_DATABASE_URL"]):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")


def _stage(session: Session) -> dict[str, Any]:
    rounds = []
    for number in range(session.sizes.growth_rounds):
        with session.doing(f"growth: batch, round {number + 1}"):
            rounds.append(batch.run(session, ORDERS_EACH, session.sizes.batch_seconds))
        session.drain("growth: batch")
    full = end_to_end.offer(session, session.sizes.rates[-1], session.sizes.growth_seconds)
    valid = [each for each in rounds if not each["fault"]]
    # Offered more than it sustains, the desk shows what it works off; with less it would show what was offered.
    at_full = {
        "orders_per_s": None if full["fault"] else full["worked_off_per_s"],
        "p99_ms": full["settle_above_venue_ms"]["p99"],
    }
    return {
        "batch": medians(valid) if valid else {"orders_per_s": None},
        "end_to_end": at_full | {"run": full},
    }
