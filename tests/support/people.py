"""Three people at the desk, and how they ask for an operation on a row and approve it."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.utils import timezone

from acceptance.models import AcceptedOrder, Conflict
from infra.db.decisions import Person
from settlement.interventions import deciding
from settlement.interventions.operations import state_of
from settlement.interventions.terms import HandTrade, Terms
from settlement.models import Conversion, FundsTransfer, Intervention, ReconciliationBreak
from settlement.models.history import Subject
from settlement.venues.protocol import Venue

ANN, BOB, EVE = Person(1, "ann"), Person(2, "bob"), Person(3, "eve")
SUBJECTS = {
    AcceptedOrder: Subject.ORDER,
    Conflict: Subject.CONFLICT,
    Conversion: Subject.CONVERSION,
    FundsTransfer: Subject.FUNDS_TRANSFER,
    ReconciliationBreak: Subject.BREAK,
}


def ask_for(row: Any, kind: str, venue: Venue, **changes: Any) -> Intervention:
    """Ann requests an operation on a row as it is now; `changes` are other arguments of `deciding.request`."""
    row.refresh_from_db()
    return deciding.request(
        **{
            "operation": deciding.OPERATIONS[SUBJECTS[type(row)], kind],
            "row_id": row.pk,
            "seen": state_of(row),
            "terms": Terms(),
            "reason": "looked at both sides",
            "evidence": "ticket 4711",
            "by": ANN,
            "venue": venue,
            "now": timezone.now(),
            **changes,
        }
    )


def approve(made: Intervention, venue: Venue, **changes: Any) -> Intervention:
    """Bob approves; `changes` are other arguments of `deciding.approve`."""
    return deciding.approve(
        **{
            "intervention_id": made.pk,
            "by": BOB,
            "note": "seen",
            "venue": venue,
            "now": timezone.now(),
            **changes,
        }
    )


def decide(row: Any, kind: str, venue: Venue, **changes: Any) -> Intervention:
    """Ann asks, and where that is needed Bob approves."""
    made = ask_for(row, kind, venue, **changes)
    return approve(made, venue) if made.state == Intervention.State.REQUESTED else made


def hand_trades(trades: Iterable[Mapping[str, Any]]) -> tuple[HandTrade, ...]:
    """Trades as the paper venue tells them, as a person would enter them."""
    return tuple(
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
    )
