"""`demo_rate`: orders as slowly as the demo sends them, one in a request: what an order waits when nothing is busy."""

from typing import Any

from tools.bench.scenarios import end_to_end
from tools.bench.session import Session
from tools.bench.watch import Followed

RATE = 50  # orders a second
CONNECTIONS = 20


def run(session: Session) -> dict[str, Any]:
    """Settle above venue, and beside it what the programs use of a core while nobody trades."""
    sizes = session.sizes
    end_to_end.warm_up(session)
    session.ready("demo rate")
    with session.doing("demo rate: nobody trades"):
        followed = Followed(session.bed().watch)
        followed.until_end(sizes.demo_rate_idle_seconds)
    idle = followed.figures()["cpu_seconds"]
    run = end_to_end.offer(
        session,
        RATE,
        sizes.demo_rate_seconds,
        orders_each=1,
        connections=CONNECTIONS,
        may_be_overloaded=False,
    )
    session.prove("demo rate")
    above = run["settle_above_venue_ms"] if not run["fault"] else {"p50": None, "p99": None}
    return {
        "rate": RATE,
        "p50_ms": above["p50"],
        "p99_ms": above["p99"],
        "idle_cores": {name: round(used / sizes.demo_rate_idle_seconds, 4) for name, used in idle.items()},
        "run": run,
    }
