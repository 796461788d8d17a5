"""Balancing: a filled conversion goes into the book once, and each of its orders gets its exact share.

One transaction books legs, shares, carry and states together, so a conversion is either wholly in the book or not.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import structlog
from django.conf import settings
from django.db import transaction

from acceptance.models import AcceptedOrder
from infra.coordination import clock
from infra.db.rows import rows_of
from infra.db.transient_errors import is_session_over
from infra.observability import correlation
from ledger.decimals import calculating
from settlement.book.chart import (
    COUNTER,
    FEES,
    OPTIONS,
    PNL,
    ROUNDING,
    SUSPENSE,
    TRADING,
    USDT,
    VENUE,
    Chart,
    chart_of,
)
from settlement.book.legs import Legs
from settlement.conversions import round_statements
from settlement.conversions.outcomes import BY
from settlement.models import Conversion, DeskTransfer, Fill
from settlement.netting import net
from settlement.netting.fill import FillTotals
from settlement.venues import halts
from settlement.venues.state_history import MovedMeanwhile

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
REASON_CHARACTERS = 500
IS_FILLED = "SELECT FROM settlement_conversion WHERE state = 'FILLED' LIMIT 1"


def balance_filled(*, now: datetime) -> int:
    """Book every conversion that is FILLED; how many were booked. One that cannot be does not stop the others.

    Not at a desk that was restored: counter may have been told of it, and when, which is found out first.
    """
    if not rows_of("desk", IS_FILLED):  # as nearly always, which Django would take a millisecond to find out
        return 0
    filled = list(Conversion.objects.filter(state=Conversion.State.FILLED).order_by("id"))
    if halts.is_held(settings.VENUE):
        return 0
    return sum(book_or_say_why_not(conversion, now=now) for conversion in filled)


def book_or_say_why_not(conversion: Conversion, *, now: datetime) -> bool:
    """`book` that stops no other: what keeps the conversion out of the book is put down where people look."""
    try:
        return book(conversion, now=now)
    except Exception as error:
        if is_session_over(error):
            raise
        _say_why_not(conversion, error)
        orders = AcceptedOrder.objects.filter(conversion_id=conversion.pk).values_list("order_id", flat=True)
        log.exception(
            "conversion cannot be booked", conversion=conversion.pk, orders=correlation.runs(orders)
        )
        return False


def _say_why_not(conversion: Conversion, error: Exception) -> None:
    """Where people look: on the row, which is tried again at each sweep."""
    unsaid = Conversion.objects.filter(pk=conversion.pk, state=Conversion.State.FILLED)
    why = f"cannot be booked: {error}"[:REASON_CHARACTERS]
    unsaid.exclude(reason=why).update(reason=why)


def book(conversion: Conversion, *, now: datetime) -> bool:
    """Book one conversion and settle its orders; False when it is not there to be booked (any more)."""
    if conversion.state != Conversion.State.FILLED:
        return False
    try:
        enter(conversion, now=now)
    except MovedMeanwhile:
        return False
    return True


def enter(conversion: Conversion, *, now: datetime) -> int:
    """Enter a filled conversion into the book, in the caller's transaction or one of its own; how many orders it had.

    Raises: MovedMeanwhile.
    """
    orders = AcceptedOrder.objects.filter(conversion_id=conversion.pk).order_by("id")
    demands = [round_statements.demand_of(*row) for row in orders.values_list(*round_statements.DEMANDED)]
    with transaction.atomic(using="desk"):
        _enter(conversion, list(conversion.fills.order_by("id")), demands, Chart(), now=now)
    return len(demands)


def book_filled(
    conversion: Conversion,
    fills: Sequence[Fill],
    *,
    demands: Sequence[net.Demand],
    accounts: Sequence[str],
) -> None:
    """Enter a conversion in the transaction that stores its fills, with what its planner has read.

    Raises: MovedMeanwhile.
    """
    _enter(conversion, fills, demands, chart_of(accounts), now=clock.of("desk").now())


@calculating()
def _enter(
    conversion: Conversion,
    fills: Sequence[Fill],
    demands: Sequence[net.Demand],
    chart: Chart,
    *,
    now: datetime,
) -> None:
    settlement = net.settle(
        demands=demands,
        carry=net.Carry(coin=conversion.carry_in_coin, usdt=conversion.carry_in_usdt),
        fill=fill_totals(conversion, fills),
        price_if_unfilled=conversion.reference_price,
    )
    changes = {
        "price": settlement.price,
        "fee_usdt": settlement.fee_total,
        "carry_out_coin": settlement.carry_out.coin,
        "carry_out_usdt": settlement.carry_out.usdt,
        "booked_at": now,
    }
    legs = _legs(conversion, fills, demands, settlement, chart, now)
    round_statements.booked(conversion, changes, settlement.shares, legs, settlement.carry_out, at=now, by=BY)


@calculating()
def fill_totals(conversion: Conversion, fills: Sequence[Fill]) -> FillTotals | None:
    """A conversion's trades added up, their fees told apart by what they were taken in.

    What was written off counts like a trade without a fee: the other side of it is suspense instead of the venue.
    """
    if not fills and not conversion.written_off_coin:
        return None
    coin_fees = [fill.fee for fill in fills if fill.fee_asset == conversion.underlying]
    usdt_fees = [fill.fee for fill in fills if fill.fee_asset == USDT]
    return FillTotals(
        side=conversion.side,  # type: ignore[arg-type]
        coin=sum((fill.coin for fill in fills), conversion.written_off_coin),
        usdt=sum((fill.usdt for fill in fills), conversion.written_off_usdt),
        fee_coin=sum(coin_fees, ZERO),
        fee_usdt=sum(usdt_fees, ZERO),
        fee_other_usdt=sum((fill.fee_usdt for fill in fills if fill.fee_usdt is not None), ZERO),
    )


def _legs(
    conversion: Conversion,
    fills: Sequence[Fill],
    demands: Sequence[net.Demand],
    settlement: net.ConversionResult,
    chart: Chart,
    now: datetime,
) -> list[DeskTransfer]:
    """The legs of docs/decisions/netting.md: afterwards the trading account holds the carry and nothing else."""
    legs = Legs(now=now, conversion_id=conversion.pk, chart=chart)
    coin = conversion.underlying
    shares = list(zip(demands, settlement.shares, strict=True))
    due_on_opens = sum((share.due for demand, share in shares if demand.side == "buy"), ZERO)
    due_on_closes = sum((share.due for demand, share in shares if demand.side == "sell"), ZERO)
    borne_by_payouts = sum((share.fee for demand, share in shares if _at_fill(demand)), ZERO)

    legs.add("open", coin, debit=TRADING, credit=OPTIONS, amount=conversion.bought)
    legs.add("close", coin, debit=OPTIONS, credit=TRADING, amount=conversion.sold)
    legs.add("open", USDT, debit=COUNTER, credit=TRADING, amount=due_on_opens)
    legs.add("close", USDT, debit=TRADING, credit=COUNTER, amount=due_on_closes)

    sign = 1 if conversion.side == Conversion.Side.BUY else -1
    for fill in fills:
        legs.add("fill", coin, debit=VENUE, credit=TRADING, amount=sign * fill.coin)
        legs.add("fill", USDT, debit=TRADING, credit=VENUE, amount=sign * fill.usdt)
        legs.add("fee", fill.fee_asset, debit=FEES, credit=VENUE, amount=fill.fee)
        if fill.fee_asset == coin:
            # Coin kept by the venue has yet to be bought: the expense moves to USDT, the need to the carry.
            legs.add("fee", coin, debit=TRADING, credit=FEES, amount=fill.fee)
    written_off_coin, written_off_usdt = (
        sign * conversion.written_off_coin,
        sign * conversion.written_off_usdt,
    )
    legs.add("write_off", coin, debit=SUSPENSE, credit=TRADING, amount=written_off_coin)
    legs.add("write_off", USDT, debit=TRADING, credit=SUSPENSE, amount=written_off_usdt)
    legs.add("fee", USDT, debit=FEES, credit=TRADING, amount=settlement.fee_coin_value)
    legs.add("fee_borne", USDT, debit=TRADING, credit=FEES, amount=borne_by_payouts)

    legs.add("slippage", USDT, debit=TRADING, credit=PNL, amount=settlement.slippage_total)
    legs.add("carry", USDT, debit=TRADING, credit=PNL, amount=settlement.carry_result)
    rounding = settlement.rounding_total + settlement.price_rounding
    legs.add("rounding", USDT, debit=TRADING, credit=ROUNDING, amount=rounding)
    return legs.transfers


def _at_fill(demand: net.Demand) -> bool:
    return demand.side == "sell" and demand.payout == "at_fill"
