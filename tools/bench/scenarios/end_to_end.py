"""`end_to_end`: orders offered at a steady rate regardless of their answers, followed to the settlement report.

A rate is sustained when nearly everything offered is accepted, answered soon, and little of it is unreported at the
end, for a few seconds at most. Where the highest rate is not, the highest that is gets searched below it.
"""

from typing import Any

from tools.bench.load import process
from tools.bench.load.job import Job, Outcome
from tools.bench.session import Session
from tools.bench.watch import Followed
from tools.demo import figures

REQUESTS_PER_SECOND = 100
CONNECTIONS = 128
WARM_UP_RATE, WARM_UP_SECONDS = 1_000, 2.0
ACCEPTED_SHARE = 0.99
ANSWERED_WITHIN_MS = 1_000.0
LAG_SECONDS = 1.0  # of the offered rate
DRAINED_WITHIN_SECONDS = 3.0


def run(session: Session) -> dict[str, Any]:
    """The runs at each rate; on top the highest reported rate that is sustained, and its latencies."""
    session.bed()
    warm_up(session)
    seconds = session.sizes.open_loop_seconds
    runs = [offer(session, rate, seconds) for rate in session.sizes.rates]
    highest = runs[-1]
    # What the fullest run worked off a second, until its last report, is the first guess.
    guess = highest["worked_off_per_s"]
    for _ in range(session.sizes.further_rates):
        low = max((each["offered_per_s"] for each in runs if each["sustained"]), default=0)
        high = min((each["offered_per_s"] for each in runs if not each["sustained"]), default=low)
        if high <= low:
            break
        runs.append(offer(session, int(guess if low < guess < high else (low + high) / 2), seconds))
        guess = 0
    session.prove("end to end")
    return summary(runs, highest=highest)


def summary(runs: list[dict[str, Any]], *, highest: dict[str, Any]) -> dict[str, Any]:
    """The best sustained run on top of all of them, None if there is none.

    `highest_of_best` is what was reported a second at the `highest` rate, as a share of what the best one reports.
    """
    sustained = [each for each in runs if each["sustained"]]
    best = max(sustained, key=lambda each: each["reported_per_s"], default=None)
    above = best["settle_above_venue_ms"] if best else {}
    return {
        "orders_per_s": best["reported_per_s"] if best else None,
        "offered_per_s": best["offered_per_s"] if best else None,
        "highest_of_best": (
            round(highest["reported_per_s"] / best["reported_per_s"], 3)
            if best and best["reported_per_s"] and not highest["fault"]
            else None
        ),
        "p50_ms": above.get("p50"),
        "p99_ms": above.get("p99"),
        "runs": runs,
    }


def warm_up(session: Session) -> None:
    """Have every connection, prepared statement and process of a stack used once before anything is measured."""
    if session.bed().is_warm:
        return
    session.ready("warming up")
    job = session.bed().job(
        connections=CONNECTIONS,
        orders_each=WARM_UP_RATE // REQUESTS_PER_SECOND,
        seconds=WARM_UP_SECONDS,
        rate=WARM_UP_RATE,
    )
    process.run(job)
    session.drain("warming up")
    session.bed().is_warm = True


def offer(
    session: Session,
    rate: int,
    seconds: float,
    *,
    orders_each: int | None = None,
    connections: int = CONNECTIONS,
    may_be_overloaded: bool = True,
    may_be_refused: bool = False,
) -> dict[str, Any]:
    """Offer `rate` orders a second for so many seconds; everything that is known of that run.

    `fault` says why no figure may be taken from it; answers 503 are one unless it `may_be_overloaded`,
    and no refusal is one where it `may_be_refused`.
    """
    bed = session.bed()
    what = f"{rate:,} orders a second"
    session.ready(what)
    with session.doing(f"{what} for {seconds:.0f} s"):
        job = bed.job(
            connections=connections,
            orders_each=orders_each or max(1, rate // REQUESTS_PER_SECOND),
            seconds=seconds,
            rate=rate,
        )
        start = figures.start_of(job.run_id)
        with process.prepared(job) as load:
            followed = Followed(bed.watch)
            load.go()
            at_end: list[int] = []
            followed.until_end(
                seconds, at_end=lambda: at_end.extend((figures.reported(start), figures.unreported()))
            )
            reported, lag = at_end
            outcome = load.outcome()
    drained = session.drain(what)
    fault = session.judge(what, outcome, may_be_overloaded=may_be_overloaded, may_be_refused=may_be_refused)
    run = {"offered_per_s": rate, "seconds": seconds, "fault": fault} | _answers(outcome)
    run |= _pace(job, outcome, reported=reported, lag=lag, drained=drained)
    run["sustained"] = run["sustained"] and fault is None
    run |= _settlement(bed.source, start) | followed.figures()
    run["cpu_seconds"]["load"] = outcome.client_cpu_seconds
    run["lost"] = max(0, outcome.accepted - run["settled"])
    if run["lost"]:
        session.trouble.append(f"{what}: {run['lost']:,} accepted orders were not settled")
    session.note(
        f"offered {rate:,}/s: accepted {run['accepted_per_s']:,.0f}/s, reported {run['reported_per_s']:,.0f}/s, "
        f"settle above venue p99 {run['settle_above_venue_ms']['p99']} ms, lag {lag:,}"
    )
    return run


def _pace(job: Job, outcome: Outcome, *, reported: int, lag: int, drained: float | None) -> dict[str, Any]:
    sustained = (
        outcome.accepted >= ACCEPTED_SHARE * outcome.offered
        and (outcome.p99_ms or 0.0) <= ANSWERED_WITHIN_MS
        and job.rate is not None
        and lag <= LAG_SECONDS * job.rate
        and drained is not None
        and drained <= DRAINED_WITHIN_SECONDS
    )
    return {
        "accepted_per_s": outcome.orders_per_s,
        "reported_per_s": round(reported / job.seconds, 1),
        "worked_off_per_s": round(outcome.accepted / (job.seconds + (drained or 0.0)), 1),
        "sustained": sustained,
        "lag_orders": lag,
        "drained_seconds": drained,
    }


def _answers(outcome: Outcome) -> dict[str, Any]:
    return {
        "answer_ms": {"p50": outcome.p50_ms, "p99": outcome.p99_ms},
        "offered": outcome.offered,
        "accepted": outcome.accepted,
        "unavailable": outcome.unavailable,
        "refused": outcome.refused,
        "refused_by_code": outcome.refused_by_code,
        "unanswered": outcome.unanswered,
        "client_cpu_share": outcome.client_cpu_share,
    }


def _settlement(source: str, start: figures.Start) -> dict[str, Any]:
    settle_ms = figures.settle_ms_by_order(start)
    venue_ms = figures.venue_ms_by_order(source, list(settle_ms))
    above_ms = [ms - venue_ms.get(order_id, 0.0) for order_id, ms in settle_ms.items()]
    return {
        "settled": len(settle_ms),
        "settle_ms": figures.percentiles(list(settle_ms.values())),
        "settle_above_venue_ms": figures.percentiles(above_ms),
        "venue_orders": sum(coin["venue_orders"] for coin in figures.netting(start).values()),
    }
