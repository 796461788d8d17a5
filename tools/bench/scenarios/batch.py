"""`batch`: many orders in a request over HTTP, as fast as the answers come."""

from typing import Any

from tools.bench.load import process
from tools.bench.load.job import Job, Outcome
from tools.bench.session import Session

MAIN = "orders_per_s"
SHOWN = ("orders_per_s", "p50_ms", "p99_ms", "client_cpu_share", "client_ran_dry")
# However they are spread over the web processes: one that has them all works on one batch while the others wait, and
# has room for 2,048 orders (counter.orders.queue.WAITING_ORDERS).
CONNECTIONS = {1000: 3, 100: 8}
# More than can be taken: a client that ran out of orders would have measured itself.
PREBUILT_PER_SECOND = 60_000


def prepare(session: Session) -> None:
    """Have the stack up."""
    session.bed()


def measure(session: Session) -> dict[str, Any]:
    """Orders a second and milliseconds of a request, with 1,000 orders in each (on top) and with 100."""
    figures = {
        f"of_{orders_each}": run(session, orders_each, session.sizes.batch_seconds)
        for orders_each in CONNECTIONS
    }
    session.prove("batch")
    top, smaller = figures["of_1000"], figures["of_100"]
    if not smaller["fault"]:
        session.capacity_per_s = smaller["orders_per_s"]
    return {name: top[name] for name in SHOWN} | {"fault": top["fault"] or smaller["fault"]} | figures


def run(session: Session, orders_each: int, seconds: float) -> dict[str, Any]:
    """One measurement in a closed loop; `fault` says why it is none, None if it is one."""
    what = f"batch of {orders_each:,}"
    session.ready(what)
    warm_up = session.sizes.warm_up_seconds
    job = session.bed().job(
        connections=CONNECTIONS[orders_each],
        orders_each=orders_each,
        seconds=seconds,
        warm_up_seconds=warm_up,
        prebuilt=int(PREBUILT_PER_SECOND * (seconds + warm_up)),
    )
    return closed_loop(session, job, what)


def closed_loop(session: Session, job: Job, what: str) -> dict[str, Any]:
    """Run a job while the desk rests; it is made ready before that, so that the desk rests no longer than it has to."""
    with process.prepared(job) as load, session.without_desk():
        load.go()
        outcome = load.outcome()
    return figures_of(outcome) | {"fault": session.judge(what, outcome)}


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
