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
    BESIDE = "beside"  # the worker: a further round beside one of the coin that the venue is at
    REFUSED = "refused"  # the worker: settles while the venue takes no orders of the coin
    BALANCE = "balance"  # the worker: books what is filled and not booked yet
    ASK = "ask"  # the worker: asks about a conversion that is out of sight
    TREASURY = "treasury"  # the worker: moves funds
    PAY = "pay"  # the worker: has counter book a payment of clearing
    PAID = "paid"  # serves the desk, which has a payment of clearing booked
    DAY = "day"  # the worker: adds a day up and keeps what came of it
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
    "the order of a further round": (Work.BESIDE, "settlement.venues.ccxt_venue.CcxtVenue.submit"),
    "the halt of a closed market": (Work.REFUSED, "settlement.venues.halts.begin"),
    "the question about the order": (Work.ASK, "settlement.venues.ccxt_venue.CcxtVenue.find"),
    "the transfer at the venue": (Work.TREASURY, "settlement.venues.ccxt_venue.CcxtVenue.transfer"),
    "the report to counter": (Work.SETTLE, "acceptance.counter_client.report"),
    "the payment at counter": (Work.PAY, "acceptance.counter_client.pay_clearing"),
    "noting how far a day is added up": (Work.DAY, "cockpit.day_work._note_step"),
    "telling the desk of exercises": (Work.EXPIRE, "counter.orders.outbox.publish"),
    "noting what is reported": (
        Work.SETTLE,
        "settlement.counter_link.reporting.move_orders",
    ),  # one statement, its own transaction
}
COMMITS = {
    "placing orders": (Work.WEB, "counter.orders.queue.order_queue._place"),
    "taking an acknowledgement": (Work.WEB, "counter.orders.outbox.acknowledge"),
    "taking reports": (Work.WEB, "counter.api.internal.take_reports"),
    "a deposit": (Work.WALLET, "counter.api.wallet.accounts.deposit"),
    "a reservation": (Work.WALLET, "counter.api.wallet.withdrawals.reserve"),
    "a confirmation": (Work.WALLET, "counter.api.wallet.withdrawals.confirm"),
    "a release": (Work.WALLET, "counter.api.wallet.withdrawals.release"),
    "storing what the queue brought": (Work.INTAKE, "acceptance.deliveries.ingest"),
    "storing what was pulled": (Work.SETTLE, "acceptance.pulling.ingest"),
    "the plan": (Work.SETTLE, "settlement.conversions.converting.plan"),
    "the venue's answer and its booking": (Work.SETTLE, "settlement.conversions.converting.after_report"),
    "the plan of a further round": (Work.BESIDE, "settlement.conversions.converting.plan"),
    "the answer to a further round and its booking": (
        Work.BESIDE,
        "settlement.conversions.converting.after_report",
    ),
    "giving back what was refused": (Work.REFUSED, "settlement.conversions.outcomes.give_back"),
    "what the question found": (Work.ASK, "settlement.conversions.unknown.after_report"),
    "booking": (Work.BALANCE, "settlement.conversions.balancing.book"),
    "the transfer's plan": (Work.TREASURY, "settlement.funds.treasury.start"),
    "the transfer's end": (Work.TREASURY, "settlement.funds.transfers.confirm"),
    "a payment's booking at counter": (Work.PAID, "counter.api.internal.take"),
    "a payment's booking at the desk": (Work.PAY, "settlement.counter_link.clearing_payments.end"),
    "keeping a day's statement or close": (Work.DAY, "cockpit.day_work._end"),
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
