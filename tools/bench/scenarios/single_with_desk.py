"""`single_with_desk`: one order a request over 64 connections while the desk works, as on one machine they do."""

from typing import Any

from tools.bench.load import process
from tools.bench.scenarios import single
from tools.bench.scenarios.batch import figures_of
from tools.bench.session import Session

MAIN = "orders_per_s"
WHAT = "single with the desk"


def prepare(session: Session) -> None:
    """Have the stack up."""
    session.bed()


def measure(session: Session) -> dict[str, Any]:
    """Orders accepted a second and milliseconds of each; what the desk could not hedge soon is answered 503."""
    session.ready(WHAT)
    with process.prepared(single.job(session, session.sizes.single_seconds)) as load:
        load.go()
        outcome = load.outcome()
    session.prove(WHAT)
    share = outcome.unavailable / outcome.offered if outcome.offered else 0.0
    return figures_of(outcome) | {
        "unavailable_share": round(share, 4),
        "fault": session.judge(WHAT, outcome, may_be_overloaded=True),
    }
