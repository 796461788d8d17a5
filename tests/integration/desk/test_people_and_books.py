"""What writes in the books, or counts an order as undone, needs two people: of every operation, in each of its states.

Each is done for real, in a transaction that is undone; what it leaves to the desk's own sweeps is not its doing.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Count, Sum
from django.utils import timezone

from acceptance.models import AcceptedOrder, Conflict
from settlement.book.chart import COUNTER, USDT
from settlement.interventions.deciding import OPERATIONS
from settlement.interventions.operations import Deed, Operation
from settlement.interventions.terms import FoundTerms, HandTrade, HoldTerms, OrderTerms, Terms
from settlement.models import (
    Allocation,
    Carry,
    Conversion,
    DeskTransfer,
    Fill,
    FundsTransfer,
    Intervention,
    LateFee,
    ReconciliationBreak,
    VenueHalt,
)
from settlement.models.history import Subject
from settlement.reconciliation.clearing import DIFFERS
from settlement.venues import halts
from settlement.venues.halts import RESTORED
from tests.support.desk_bench import POST, Desk, event, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


def conversion(desk: Desk, state: str) -> Conversion:
    """One that the paper venue has left in a state; SUBMITTED lies behind it."""
    faults: dict[str, dict[str, Any]] = {
        "UNKNOWN": {"kind": "reply_lost"},
        "RETRY_WAIT": {"kind": "error_before", "status": 429, "code": -1003, "message": "Too many requests."},
        "MANUAL": {"kind": "error_before", "status": 400, "code": -1102, "message": "Mandatory parameter."},
    }
    if state in faults:
        fault = dict(faults[state])
        desk.paper.add_fault(fault.pop("kind"), **POST, **fault)
    take_in(event())
    made = desk.convert()
    assert made.state == state
    return made


def funds_transfer(desk: Desk, state: str) -> FundsTransfer:
    return FundsTransfer.objects.create(
        asset=USDT,
        direction="to_trading",
        amount=Decimal(5),
        state=state,
        planned_at=timezone.now(),
        submitted_at=timezone.now(),
    )


def conflict(desk: Desk, state: str) -> Conflict:
    order = event()
    desk.settle(order)
    take_in(event(order_id=order.order_id, coin="7"))
    return Conflict.objects.get()


def broken(desk: Desk, state: str) -> ReconciliationBreak:
    now = timezone.now()
    return ReconciliationBreak.objects.create(
        what=DIFFERS,
        where="order 1",
        detail="",
        state=state,
        asset=USDT,
        amount=Decimal(3),
        account=COUNTER,
        effect=[[COUNTER, USDT, "3"]],
        order_id=1,
        since=now,
        found_at=now,
        seen_at=now,
    )


def order(desk: Desk, state: str) -> AcceptedOrder:
    take_in(event()) if state == "RECEIVED" else desk.settle(event())
    AcceptedOrder.objects.update(state=state)
    return AcceptedOrder.objects.get()


def halt(desk: Desk, state: str) -> VenueHalt:
    halts.begin(venue=desk.venue.name, reason=RESTORED, now=timezone.now(), asked_for=60.0)
    return VenueHalt.objects.get()


ROWS: dict[Subject, Callable[[Desk, str], Any]] = {
    Subject.CONVERSION: conversion,
    Subject.FUNDS_TRANSFER: funds_transfer,
    Subject.CONFLICT: conflict,
    Subject.BREAK: broken,
    Subject.ORDER: order,
    Subject.HALT: halt,
}


def said(operation: Operation) -> Terms:
    """What a request says besides its reason."""
    usdt = Decimal("900.00")
    trade = HandTrade(
        venue_trade_id="7",
        price=Decimal(90_000),
        coin=Decimal("0.01"),
        usdt=usdt,
        fee=Decimal(0),
        fee_asset=USDT,
        traded_at=timezone.now(),
    )
    terms = {
        OrderTerms: OrderTerms(venue_order_id="7", trades=(trade,)),
        FoundTerms: FoundTerms(venue_transfer_id="7"),
        HoldTerms: HoldTerms(conversions=(1,)),
        Terms: Terms(),
    }
    return terms[operation.terms]


def books() -> Iterator[object]:
    """All that an entry in the books, or an order that counts as undone, leaves behind."""
    for model in (DeskTransfer, Fill, Allocation, LateFee):
        yield model.objects.aggregate(Count("pk"))
    yield list(Carry.objects.order_by("pk").values_list())
    yield ReconciliationBreak.objects.aggregate(Sum("corrected"))
    yield list(
        AcceptedOrder.objects.order_by("state")
        .values_list("state")
        .annotate(Count("pk"), Sum("conversion_id"))
    )


WALKED = [(operation, state) for operation in OPERATIONS.values() for state in operation.states]
# Of these it is known that they write: the look at the books is not blind.
WRITE = {
    *(("conversion", kind) for kind in ("book_by_hand", "release", "write_off")),
    *(("funds_transfer", kind) for kind in ("mark_found", "write_off")),
    *(("break", kind) for kind in ("write_off", "book_capital", "book_cash")),
    *(("conflict", "take_theirs"), ("accepted_order", "disown")),
}


@pytest.mark.parametrize(
    ("operation", "state"), WALKED, ids=[f"{each.kind}-{each.subject}-{state}" for each, state in WALKED]
)
def test_what_writes_in_the_books_needs_two_people(desk, operation, state):
    writes = does_write(operation, ROWS[operation.subject](desk, state))
    assert operation.needs_two or not writes, f"{operation.kind} writes by one person's word"
    assert writes or (operation.subject, operation.kind) not in WRITE


def does_write(operation: Operation, row: Any) -> bool:
    """Whether it leaves anything in the books; undone afterwards."""
    with transaction.atomic(using="desk"):
        before = list(books())
        operation.apply(Deed(row, said(operation), 1, "ann", "why", timezone.now()))
        writes = list(books()) != before
        transaction.set_rollback(True, using="desk")
    return writes


@pytest.mark.parametrize(("subject", "kind"), sorted(WRITE))
def test_an_operation_that_writes_by_one_persons_word_is_found(desk, subject, kind, monkeypatch):
    """Each of those that write, as if somebody had let one person do it."""
    operation = OPERATIONS[Subject(subject), kind]
    state = operation.states[0]
    monkeypatch.setattr(Intervention, "ALONE", {*Intervention.ALONE, kind})
    with pytest.raises(AssertionError, match="by one person's word"):
        test_what_writes_in_the_books_needs_two_people(desk, operation, state)


def test_every_kind_of_row_is_walked():
    assert {operation.subject for operation in OPERATIONS.values()} == set(ROWS)
