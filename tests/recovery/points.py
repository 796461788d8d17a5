"""Every commit point of every process, in one place: where a kill falls between two lasting effects.

The feed is not among them: it writes quotes only, each with the statement that replaces it a second later.
"""

from dataclasses import dataclass
from enum import StrEnum


class Work(StrEnum):
    """What a process is doing when it is killed; `tests.recovery.doomed` does it by the process's own code."""

    WEB = "web"  # serves customers and the desk over HTTP
    WALLET = "wallet"  # serves the wallet service over HTTP
    INTAKE = "intake"  # takes in what the broker brings
    SETTLE = "settle"  # the worker: pull, convert, book, report
    ASK = "ask"  # the worker: asks about a conversion that is out of sight
    TREASURY = "treasury"  # the worker: moves funds
    EXPIRE = "expire"  # the worker: ends options and exercises their positions


class Moment(StrEnum):
    """When, of a call; of a transaction, its commit is what counts."""

    BEFORE = "before"
    AFTER = "after"
    BEFORE_COMMIT = "before the commit of"
    AFTER_COMMIT = "after the commit of"


@dataclass(frozen=True)
class Point:
    """At a moment of the function that `place` names, as its caller finds it."""

    work: Work
    place: str
    moment: Moment


CALLS = {
    "the publishing": (Work.WEB, "kombu.messaging.Producer.publish"),
    "the broker's acknowledgement": (Work.INTAKE, "kombu.message.Message.ack"),
    "the acknowledgement to counter": (Work.INTAKE, "acceptance.counter_client.acknowledge"),
    "the acknowledgement of what was pulled": (Work.SETTLE, "acceptance.counter_client.acknowledge"),
    "the order at the venue": (Work.SETTLE, "settlement.venues.ccxt_venue.CcxtVenue.submit"),
    "the question about the order": (Work.ASK, "settlement.venues.ccxt_venue.CcxtVenue.find"),
    "the transfer at the venue": (Work.TREASURY, "settlement.venues.ccxt_venue.CcxtVenue.transfer"),
    "the report to counter": (Work.SETTLE, "acceptance.counter_client.report"),
    "telling the desk of exercises": (Work.EXPIRE, "counter.ordering.outbox.publish"),
    "noting what is reported": (
        Work.SETTLE,
        "settlement.reporting.move",
    ),  # one statement, its own transaction
}
COMMITS = {
    "placing orders": (Work.WEB, "counter.ordering.gate.gate._place"),
    "taking an acknowledgement": (Work.WEB, "counter.ordering.outbox.acknowledge"),
    "taking reports": (Work.WEB, "counter.api.internal.take_reports"),
    "a deposit": (Work.WALLET, "counter.api.wallet.accounts.deposit"),
    "a reservation": (Work.WALLET, "counter.api.wallet.withdrawals.reserve"),
    "a confirmation": (Work.WALLET, "counter.api.wallet.withdrawals.confirm"),
    "a release": (Work.WALLET, "counter.api.wallet.withdrawals.release"),
    "storing what the queue brought": (Work.INTAKE, "acceptance.deliveries.ingest"),
    "storing what was pulled": (Work.SETTLE, "acceptance.recovery.ingest"),
    "the plan": (Work.SETTLE, "settlement.conversion.plan"),
    "the venue's answer": (Work.SETTLE, "settlement.conversion.after_report"),
    "what the question found": (Work.ASK, "settlement.resolving.after_report"),
    "booking": (Work.SETTLE, "settlement.balancing.book"),
    "the transfer's plan": (Work.TREASURY, "settlement.treasury.start"),
    "the transfer's end": (Work.TREASURY, "settlement.transfers.confirm"),
    "the end of trading": (Work.EXPIRE, "counter.expiring.expiry._take"),
    "the settlement index": (Work.EXPIRE, "counter.expiring.expiry.settle_at_average"),
    "a chunk of exercises": (Work.EXPIRE, "counter.expiring.exercising.exercise_chunk"),
    "the end of an expiry": (Work.EXPIRE, "counter.expiring.expiry._settle"),
}
POINTS: dict[str, Point] = {
    f"{moment} {name}": Point(work, place, moment)
    for places, moments in (
        (CALLS, (Moment.BEFORE, Moment.AFTER)),
        (COMMITS, (Moment.BEFORE_COMMIT, Moment.AFTER_COMMIT)),
    )
    for name, (work, place) in places.items()
    for moment in moments
}
