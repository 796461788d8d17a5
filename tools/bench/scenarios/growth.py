"""`growth`: the figures of `batch` and `end_to_end` with more and more earlier orders in both databases."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import psycopg

from bench.medians import medians
from bench.scenarios import batch, end_to_end
from bench.session import Session
from demo import figures

ORDERS_EACH = 1000
HISTORY = "bench.history"


def run(session: Session) -> dict[str, Any]:
    """A stage for each number of earlier orders, in a stack of its own, and how each compares with the first."""
    if find_spec(HISTORY) is None:
        session.note(f"growth: left out, for nothing fills the tables ({HISTORY} is not there)")
        return {"left_out": f"{HISTORY} is not there"}
    bed = session.new_bed("growth")
    end_to_end.warm_up(session)
    # As filling does: tables that are seconds old would be planned blindly.
    _refresh_statistics(bed.info.environment)
    stages = []
    for orders in session.sizes.earlier_orders:
        missing = orders - figures.orders_stored()
        if missing > 1:
            with session.doing(f"growth: filling up to {orders:,} earlier orders"):
                import_module(HISTORY).fill(orders=missing // 2 * 2, environment=bed.info.environment)
            session.prove(f"filling up to {orders:,} orders")
        stages.append({"earlier_orders": figures.orders_stored() if orders else 0} | _stage(session))
    empty = stages[0]
    for stage in stages:
        for name in ("batch", "end_to_end"):
            compared = stage[name]["orders_per_s"] / (empty[name]["orders_per_s"] or 1.0)
            stage[name]["of_empty"] = round(compared, 3)
    return {"stages": stages}


def _refresh_statistics(environment: Mapping[str, str]) -> None:
    for url in (environment["DATABASE_URL"], environment["DESK_DATABASE_URL"]):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")


def _stage(session: Session) -> dict[str, Any]:
    rounds = []
    for number in range(session.sizes.growth_rounds):
        with session.doing(f"growth: batch, round {number + 1}"):
            rounds.append(batch.run(session, ORDERS_EACH, session.sizes.batch_seconds))
        session.prove("growth: batch")
    full = end_to_end.offer(session, session.sizes.rates[-1], session.sizes.growth_seconds)
    # Offered more than it sustains, the desk shows what it works off; with less it would show what was offered.
    at_full = {"orders_per_s": full["worked_off_per_s"], "p99_ms": full["settle_above_venue_ms"]["p99"]}
    return {"batch": medians(rounds), "end_to_end": at_full | {"run": full}}
