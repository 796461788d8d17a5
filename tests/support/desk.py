"""The desk's work of one moment, done in this process: the real operations in their order, HTTP to counter left out."""

from datetime import datetime

from django.conf import settings
from django.utils import timezone

from acceptance.intake import Intake, ingest
from acceptance.models import AcceptedOrder
from acceptance.order_history import move_orders
from counter.contracts import SettlementAnswer, SettlementReport
from counter.orders import outbox
from counter.orders.settlements import take_reports
from settlement.conversions import balancing, converting
from settlement.models import Allocation
from settlement.venues.protocol import Venue

ALL = 1_000_000


def deliver(*, acknowledge: bool = True, now: datetime | None = None) -> Intake:
    """Take in every order that counter counts as pending, as the queue or the pull would, and acknowledge it."""
    at = now or timezone.now()
    events = outbox.unsynced(placed_before=at, limit=ALL)
    intake = ingest(events=events, door=AcceptedOrder.Door.QUEUE, now=at)
    if acknowledge:
        outbox.acknowledge(order_ids=intake.stored, now=at)
    return intake


def convert(venue: Venue, *, now: datetime | None = None) -> None:
    """Convert what waits, one conversion for each coin that needs one."""
    for underlying in settings.COINS:
        converting.convert_waiting(underlying=underlying, venue=venue, now=now or timezone.now())


def balance(*, now: datetime | None = None) -> int:
    """Book what is filled."""
    return balancing.balance_filled(now=now or timezone.now())


def report(*, now: datetime | None = None) -> SettlementAnswer:
    """Hand every settlement that counter has not taken to `take_reports`, and mark what it takes as reported."""
    at = now or timezone.now()
    rows = list(
        Allocation.objects.filter(order__state=AcceptedOrder.State.SETTLED)
        .order_by("order_id")
        .select_related("order", "conversion")
    )
    answer = take_reports(reports=[settlement_report(row) for row in rows], now=at)
    taken = [row.order_id for row in rows if row.order.order_id in set(answer.taken)]
    move_orders(taken, AcceptedOrder.report, at=at, same={"reported_at": at})
    return answer


def settlement_report(row: Allocation) -> SettlementReport:
    """What the desk tells counter of one order."""
    assert row.conversion.price is not None
    assert row.order.settled_at is not None
    return SettlementReport(
        order_id=row.order.order_id,
        conversion_id=row.conversion_id,
        price=row.conversion.price,
        value=row.value,
        fee=row.fee,
        due=row.due,
        settled_at=row.order.settled_at,
    )


def run_desk(venue: Venue, *, now: datetime | None = None) -> None:
    """Everything that follows accepted orders: deliver, convert, balance, report."""
    deliver(now=now)
    convert(venue, now=now)
    balance(now=now)
    report(now=now)
