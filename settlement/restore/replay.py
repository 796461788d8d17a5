"""Entering again what a restored desk has executed and forgotten, from the venue's trades and counter's settlements.

Guards against guessing: a conversion that counter was told of is entered only if what follows from the venue's own
trades is, to the last digit, what counter was told; all others are entered without orders, and their coin is carried to
the next conversion, where the orders that wait are netted against it. Sends nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from uuid import uuid4

from django.conf import settings
from django.db import connections, transaction
from django.db.models import QuerySet

from acceptance.models import AcceptedOrder
from acceptance.order_history import move_orders
from counter.contracts import SettlementReport
from infra.db.lifecycles import moves
from infra.db.rows import insert
from ledger.decimals import calculating, quotient
from settlement.book.chart import USDT
from settlement.conversions import balancing, late_fees, round_statements
from settlement.conversions.late_fees import fee_values
from settlement.conversions.outcomes import fill_of
from settlement.models import Allocation, Carry, Conversion, Fill
from settlement.netting.net import NettingError
from settlement.netting.units import worth_usdt
from settlement.venues import state_history
from settlement.venues.protocol import OrderReport, Venue
from settlement.venues.state_history import MovedMeanwhile

BY = "restore"
WHY = "executed after the backup that the desk was restored from"
UNIT = Decimal("0.00000001")
ZERO = Decimal(0)
KEEP_AHEAD = """
    SELECT setval(pg_get_serial_sequence('settlement_conversion', 'id'),
                  GREATEST(%s, nextval(pg_get_serial_sequence('settlement_conversion', 'id'))))
"""


class _Differs(Exception):
    """What was entered is not what counter was told; it is undone."""


@dataclass(frozen=True, slots=True)
class Executed:
    """An order of ours that the venue has executed and no conversion of the book has."""

    underlying: str
    report: OrderReport

    @property
    def price(self) -> Decimal:
        """Its average, as a conversion is settled at."""
        return quotient(self.usdt, self.report.filled_coin, unit=UNIT, rounding=ROUND_HALF_EVEN)

    @property
    def usdt(self) -> Decimal:
        """What its trades add up to."""
        return sum((trade.usdt for trade in self.report.trades), ZERO)

    @property
    def began_at(self) -> datetime:
        """Its first trade's time."""
        return min(trade.traded_at for trade in self.report.trades)


@dataclass(slots=True)
class Entered:
    """Conversions that counter was told of, by id: entered as told, entered without proof, and left."""

    proven: list[int] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)


@calculating()
def enter_told(
    told: Iterable[SettlementReport], executed: list[Executed], *, given_up: Collection[int] = ()
) -> Entered:
    """Enter the conversions that counter was told of, oldest first; those `given_up` as far as the trades go.

    What they used up is taken out of `executed`.
    """
    by_conversion: dict[int, list[SettlementReport]] = defaultdict(list)
    for report in told:
        by_conversion[report.conversion_id].append(report)
    if by_conversion:
        with connections["desk"].cursor() as cursor:
            cursor.execute(KEEP_AHEAD, [max(by_conversion)])
    found = Entered()
    unproven = []
    for conversion_id, reports in sorted(by_conversion.items()):
        if _enter_one(reports, executed):
            found.proven.append(conversion_id)
        else:
            unproven.append((conversion_id, reports))
    # After all others: what these can prove to be theirs is not for one that proves nothing.
    for conversion_id, reports in unproven:
        is_entered = conversion_id in given_up and _enter_unproven(reports, executed)
        (found.given_up if is_entered else found.left).append(conversion_id)
    return found


def _enter_unproven(told: Sequence[SettlementReport], executed: list[Executed]) -> bool:
    """Enter it as the trades give it, even against what counter was told, which it keeps and is not told again.

    False, with nothing changed, where its row in the book cannot be booked: that one has exits of its own.
    """
    conversion = Conversion.objects.filter(pk=told[0].conversion_id).first()
    if conversion is not None and conversion.state == Conversion.State.BOOKED:
        return True
    at_this_price = [each for each in executed if each.price == told[0].price] if conversion is None else []
    for candidate in [*at_this_price, None]:
        try:
            with transaction.atomic(using="desk"):
                _settle_unproven(told, conversion, candidate)
        except (MovedMeanwhile, NettingError):
            continue
        if candidate is not None:
            executed.remove(candidate)
        return True
    return False


@moves(AcceptedOrder.report)
def _settle_unproven(
    told: Sequence[SettlementReport], conversion: Conversion | None, executed: Executed | None
) -> None:
    """Raises: MovedMeanwhile, NettingError."""
    if conversion is None:
        orders = list(_waiting(told).order_by("id"))
        if not orders and executed is None:
            return  # the desk holds none of them, or settled them otherwise: reconciliation shows each as a break
        if {order.underlying for order in orders} != {
            executed.underlying if executed else orders[0].underlying
        }:
            raise MovedMeanwhile("of another coin")
        conversion = _claimed(told, orders, executed)
    balancing.enter(conversion, now=told[0].settled_at)
    settled = AcceptedOrder.objects.filter(
        conversion_id=conversion.pk,
        order_id__in=[report.order_id for report in told],
        state=AcceptedOrder.State.SETTLED,
    )
    reported_at = told[0].settled_at
    move_orders(settled, AcceptedOrder.report, at=reported_at, same={"reported_at": reported_at})


def _enter_one(told: Sequence[SettlementReport], executed: list[Executed]) -> bool:
    if Conversion.objects.filter(pk=told[0].conversion_id).exists():
        return _entered_as_told(told, None)
    for candidate in [each for each in executed if each.price == told[0].price]:
        if _entered_as_told(told, candidate):
            executed.remove(candidate)
            return True
    return _entered_as_told(told, None)


def _entered_as_told(told: Sequence[SettlementReport], executed: Executed | None) -> bool:
    """Enter it in one transaction; False, with nothing changed, when what comes of it differs from what was told."""
    try:
        with transaction.atomic(using="desk"):
            conversion = Conversion.objects.filter(pk=told[0].conversion_id).first()
            if conversion is None:
                conversion = _remember(told, executed)
            balancing.enter(conversion, now=told[0].settled_at)
            _compare(told, conversion)
    except (_Differs, MovedMeanwhile, NettingError):
        return False
    return True


def _remember(told: Sequence[SettlementReport], executed: Executed | None) -> Conversion:
    """The conversion with its orders and its fills, FILLED. Raises: _Differs."""
    orders = list(_waiting(told).order_by("id"))
    coins = {order.underlying for order in orders}
    if len(orders) != len(told) or len(coins) != 1 or (executed and executed.underlying not in coins):
        raise _Differs
    return _claimed(told, orders, executed)


def _waiting(told: Sequence[SettlementReport]) -> QuerySet[AcceptedOrder]:
    return AcceptedOrder.objects.filter(
        source=settings.COUNTER_SOURCE,
        order_id__in=[report.order_id for report in told],
        state=AcceptedOrder.State.RECEIVED,
    )


@moves(AcceptedOrder.convert)
def _claimed(
    told: Sequence[SettlementReport], orders: Sequence[AcceptedOrder], executed: Executed | None
) -> Conversion:
    conversion_id, settled_at = told[0].conversion_id, told[0].settled_at
    # It was received before it was settled, as counter knows; when, is forgotten.
    known = {"conversion_id": conversion_id, "received_at": settled_at, "converting_at": settled_at}
    waiting = _waiting(told).order_by("id").select_for_update()
    move_orders(waiting, AcceptedOrder.convert, at=settled_at, same=known)
    fees = sum((report.fee for report in told), ZERO)
    return _filled(
        conversion_id,
        orders[0].underlying,
        orders,
        executed,
        price=told[0].price,
        at=settled_at,
        fees_usdt=fees,
    )


@moves(Conversion.submit, Conversion.State.PLANNED)
@moves(Conversion.fill, Conversion.State.PLANNED, Conversion.State.SUBMITTED)
def _filled(
    conversion_id: int | None,
    underlying: str,
    orders: Sequence[AcceptedOrder],
    executed: Executed | None,
    *,
    price: Decimal,
    at: datetime,
    fees_usdt: Decimal | None = None,
    values: dict[str, Decimal] | None = None,
) -> Conversion:
    next_id, carry = round_statements.lock_carry(underlying)
    Carry.objects.filter(pk=underlying).update(coin=0, usdt=0)
    bought = sum((order.coin for order in orders if order.kind == "OPEN"), ZERO)
    sold = sum((order.coin for order in orders if order.kind != "OPEN"), ZERO)
    began_at = executed.began_at if executed else at
    conversion = Conversion(
        id=conversion_id or next_id,
        underlying=underlying,
        order_count=len(orders),
        bought=bought,
        sold=sold,
        crossed=min(bought, sold),
        carry_in_coin=carry.coin,
        carry_in_usdt=carry.usdt,
        reference_price=price,
        side=executed.report.trades[0].side if executed else "",
        quantity=executed.report.filled_coin if executed else ZERO,
        client_order_id=executed.report.client_order_id if executed else f"xb{uuid4().hex}",
        planned_at=began_at,
    )
    if executed is None:
        state_history.create(conversion, Conversion.fill, at=at, by=BY, why=WHY, filled_at=at)
        return conversion
    state_history.create(
        conversion, Conversion.submit, at=at, by=BY, why=WHY, submitted_at=began_at, attempts=1, reason=WHY
    )
    state_history.advance(
        conversion,
        Conversion.fill,
        at=at,
        by=BY,
        why=WHY,
        venue_order_id=executed.report.venue_order_id,
        filled_coin=executed.report.filled_coin,
        filled_usdt=executed.usdt,
        filled_at=at,
    )
    fills = [fill_of(conversion, trade, values or {}) for trade in executed.report.trades]
    if fees_usdt is not None:
        _value_as_told(fills, underlying, price, fees_usdt)
    insert(fills)
    late_fees.note(conversion, fills)
    return conversion


def _value_as_told(fills: Sequence[Fill], underlying: str, price: Decimal, fees_usdt: Decimal) -> None:
    """Fees in a third asset were valued when they were taken: what is left of all fees is what they were worth."""
    third = [fill for fill in fills if fill.fee and fill.fee_asset not in (underlying, USDT)]
    if not third:
        return
    in_coin = sum((fill.fee for fill in fills if fill.fee_asset == underlying), ZERO)
    in_usdt = sum((fill.fee for fill in fills if fill.fee_asset == USDT), ZERO)
    in_third = fees_usdt - in_usdt - worth_usdt(price, in_coin)
    if not in_third:
        return  # it was not valued in time
    for fill in third:
        fill.fee_usdt = ZERO
    third[0].fee_usdt = in_third


def _compare(told: Sequence[SettlementReport], conversion: Conversion) -> None:
    """Raises: _Differs."""
    rows = Allocation.objects.filter(conversion=conversion).values_list(
        "order__order_id", "value", "fee", "due"
    )
    entered = {order_id: figures for order_id, *figures in rows}
    for report in told:
        same = entered.get(report.order_id) == [report.value, report.fee, report.due]
        if not same or conversion.price != report.price or report.settled_at != told[0].settled_at:
            raise _Differs


@calculating()
def carry_on(executed: Executed, *, venue: Venue, now: datetime) -> Conversion:
    """Enter an order of which counter was told nothing: without orders, so that its coin is carried to the next one."""
    values = fee_values(executed.report.trades, executed.underlying, venue)
    with transaction.atomic(using="desk"):
        conversion = _filled(
            None, executed.underlying, [], executed, price=executed.price, at=now, values=values
        )
        balancing.enter(conversion, now=now)
    return conversion
