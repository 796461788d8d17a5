"""People at the desk, what they are called to, and how they ask and approve."""

from datetime import timedelta

from django.utils import timezone

from infra.db.decisions import Person
from settlement.interventions.terms import OrderTerms, Terms
from settlement.models import (
    Conversion,
    Intervention,
)
from tests.support import people
from tests.support.desk_bench import (
    POST,
    Desk,
    event,
    take_in,
)
from tests.support.people import BOB

LATER = timedelta(minutes=5)  # all that was sent has arrived or never will
HIDDEN = {"path": "/api/v3/(order|myTrades|allOrders)", "method": "GET", "lag_ms": 3_600_000}
TRANSFER = {"path": "/sapi/v1/asset/transfer$", "method": "POST", "count": 1}


def ask(desk: Desk, row, kind: str, terms: Terms | None = None, **changes) -> Intervention:
    """Request an operation on a row as it is now, at a time when all that was sent has arrived."""
    changes = {"reason": "the venue is silent", "now": timezone.now() + LATER} | changes
    return people.ask_for(row, kind, desk.venue, terms=terms or Terms(), **changes)


def approve(desk: Desk, made: Intervention, *, by: Person = BOB) -> Intervention:
    return people.approve(made, desk.venue, by=by, now=timezone.now() + LATER)


def stuck(desk: Desk, fault: str = "reply_lost", *, hidden: bool = False, **order) -> Conversion:
    """A conversion out of sight that a person has taken over; with `reply_lost` the venue has executed it.

    One that is `hidden` the venue denies, as long as its faults stand.
    """
    if hidden:
        desk.paper.add_fault("stale_reads", **HIDDEN)
    desk.paper.add_fault(fault, **POST)
    take_in(event(**order))
    made = desk.convert()
    assert made.state == "UNKNOWN"
    ask(desk, made, "take_over")
    made.refresh_from_db()
    assert made.state == "MANUAL"
    return made


def refused_for_good(desk: Desk) -> Conversion:
    """A conversion that the venue certainly has not: it calls the request wrong."""
    desk.paper.add_fault("error_before", **POST, status=400, code=-1102, message="Mandatory parameter.")
    take_in(event())
    made = desk.convert()
    assert made.state == "MANUAL"
    return made


def executed(desk: Desk) -> OrderTerms:
    """What the venue executed, read off its own state as a person would read it off the venue's web page."""
    trades = desk.venue_has("trades")
    return OrderTerms(
        venue_order_id=str(trades[0]["orderId"]),
        trades=people.hand_trades(trades),
    )
