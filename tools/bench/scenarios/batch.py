"""`batch`: many orders in a request over HTTP, as fast as the answers come."""

from typing import Any

from bench.load import process
from bench.load.job import Outcome
from bench.session import Session

MAIN = "orders_per_s"
SHOWN = ("orders_per_s", "p50_ms", "p99_ms", "client_cpu_share", "client_ran_dry")
CONNECTIONS = {1000: 4, 100: 8}
# More than can be taken: a client that ran out of orders would have measured itself.
PREBUILT_PER_SECOND = 60_000


def prepare(session: Session) -> None:
    """Have the stack up."""
    session.bed()


def measure(session: Session) -> dict[str, Any]:
    """Orders a second and milliseconds of a request, with 1,000 orders in each (on top) and with 100."""
    figures = {}
    for orders_each in CONNECTIONS:
        figures[f"of_{orders_each}"] = run(session, orders_each, session.sizes.batch_seconds)
        session.prove(f"batch of {orders_each}")
    session.capacity_per_s = figures["of_100"]["orders_per_s"]
    top = figures["of_1000"]
    return {name: top[name] for name in SHOWN} | figures


def run(session: Session, orders_each: int, seconds: float) -> dict[str, Any]:
    """One measurement in a closed loop."""
    warm_up = session.sizes.warm_up_seconds
    job = session.bed().job(
        connections=CONNECTIONS[orders_each],
        orders_each=orders_each,
        seconds=seconds,
        warm_up_seconds=warm_up,
        prebuilt=int(PREBUILT_PER_SECOND * (seconds + warm_up)),
    )
    with session.without_desk():
        return figures_of(process.run(job))


def figures_of(outcome: Outcome) -> dict[str, Any]:
    """What a closed loop tells."""
    return {
        "orders_per_s": outcome.orders_per_s,
        "p50_ms": outcome.p50_ms,
        "p99_ms": outcome.p99_ms,
        "accepted": outcome.accepted,
        "refused": outcome.refused + outcome.unavailable,
        "refused_by_code": outcome.refused_by_code,
        "unanswered": outcome.unanswered,
        "client_cpu_share": outcome.client_cpu_share,
        "client_ran_dry": outcome.ran_dry,
    }
