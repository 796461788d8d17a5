"""`overload`: twice what can be taken, for a while: what is refused, how long the accepted wait, what is lost."""

from typing import Any

from tools.bench.scenarios import batch, end_to_end
from tools.bench.session import Session

ORDERS_EACH = 100
CONNECTIONS = 256
TIMES = 2
FLAT_SHARE, FLAT_MIB = 1.05, 8.0
# Its shared buffers fill up to their size, which is a setting.
NOT_JUDGED = {"postgres"}


def run(session: Session) -> dict[str, Any]:
    """What batches of 100 have reached without a pause is what can be taken."""
    session.bed()
    end_to_end.warm_up(session)
    if not session.capacity_per_s:
        with session.doing("overload: how much can be taken"):
            found = batch.run(session, ORDERS_EACH, session.sizes.batch_seconds)
        session.drain("the measurement of what can be taken")
        if found["fault"]:
            return {"fault": f"what can be taken is not known: {found['fault']}"}
        session.capacity_per_s = found["orders_per_s"]
    rate = max(TIMES * session.capacity_per_s, ORDERS_EACH)
    offered = end_to_end.offer(
        session,
        int(rate),
        session.sizes.open_loop_seconds,
        orders_each=ORDERS_EACH,
        connections=CONNECTIONS,
    )
    session.prove("overload")
    grew = _grew_mib(offered["memory_mib"])
    figures = {
        "fault": offered["fault"],
        "capacity_per_s": session.capacity_per_s,
        "reported_per_s": offered["reported_per_s"],
        "unavailable_share": round(offered["unavailable"] / offered["offered"], 4),
        "unanswered_share": round(offered["unanswered"] / offered["offered"], 4),
        "p50_ms": offered["answer_ms"]["p50"],
        "p99_ms": offered["answer_ms"]["p99"],
        "memory_flat": not grew,
        "memory_grew_mib": grew,
        "lost": offered["lost"],
    }
    session.note(
        f"overload: {figures['reported_per_s']:,.0f}/s reported meanwhile, "
        f"{figures['unavailable_share']:.0%} answered 503, accepted p99 {figures['p99_ms']} ms, "
        f"memory {'flat' if not grew else f'grew {grew}'}, lost {figures['lost']}"
    )
    return figures | {"run": offered}


def _grew_mib(memory: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    """Programs that held clearly more at the end than in the middle, and how much more."""
    grown = {}
    for name, held in memory.items():
        _, middle, end = held["pss"]
        if name not in NOT_JUDGED and end > middle * FLAT_SHARE + FLAT_MIB:
            grown[name] = round(end - middle, 1)
    return grown
