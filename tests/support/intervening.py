"""People at the desk, what they are called to, and how they ask and approve."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from infra.db.decisions import Person
from settlement.interventions import deciding
from settlement.interventions.operations import state_of
from settlement.interventions.terms import HandTrade, OrderTerms, Terms
from settlement.models import (
    Conversion,
    FundsTransfer,
    Intervention,
)
from settlement.models.history import Subject
from tests.support.desk_bench import (
    POST,
    Desk,
    event,
    take_in,
)

ANN, BOB, EVE = Person(1, "ann"), Person(2, "bob"), Person(3, "eve")
LATER = timedelta(minutes=5)  # all that was sent has arrived or never will
HIDDEN = {"path": "/api/v3/(order|myTrades|allOrders)", "method": "GET", "lag_ms": 3_600_000}
TRANSFER = {"path": "/sapi/v1/asset/transfer$", "method": "POST", "count": 1}


def ask(
    desk: Desk, row, kind: str, terms: Terms | None = None, *, by: Person = ANN, **changes
) -> Intervention:
    """Request an operation on a row as it is now."""
    row.refresh_from_db()
    subject = {Conversion: Subject.CONVERSION, FundsTransfer: Subject.FUNDS_TRANSFER}[type(row)]
    return deciding.request(
        **{
            "operation": deciding.OPERATIONS[subject, kind],
            "row_id": row.pk,
            "seen": state_of(row),
            "terms": terms or Terms(),
            "reason": "the venue is silent",
            "evidence": "ticket 4711",
            "by": by,
            "venue": desk.venue,
            "now": timezone.now() + LATER,
            **changes,
        }
    )


def approve(desk: Desk, made: Intervention, *, by: Person = BOB) -> Intervention:
    return deciding.approve(
        intervention_id=made.pk, by=by, note="seen", venue=desk.venue, now=timezone.now() + LATER
    )


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
        trades=tuple(
            HandTrade(
                venue_trade_id=str(trade["id"]),
                price=Decimal(trade["price"]),
                coin=Decimal(trade["qty"]),
                usdt=Decimal(trade["quoteQty"]),
                fee=Decimal(trade["commission"]),
                fee_asset=trade["commissionAsset"],
                traded_at=timezone.now(),
            )
            for trade in trades
        ),
    )
