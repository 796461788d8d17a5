"""Balancing: a filled conversion goes into the book once, and each of its orders gets its exact share.

One transaction books legs, shares, carry and states together, so a conversion is either wholly in the book or not.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import structlog
from django.conf import settings
from django.db import connections, transaction

from acceptance.models import AcceptedOrder
from config import trail
from config.arrays import columns
from config.transitions import move_selected
from settlement import halts, history, netting
from settlement.booking import Legs
from settlement.chart import COUNTER, FEES, OPTIONS, PNL, ROUNDING, SUSPENSE, TRADING, USDT, VENUE
from settlement.conversion import DEMANDED, demand_of
from settlement.fill import Fill as NettedFill
from settlement.history import MovedMeanwhile
from settlement.models import Conversion, Fill
from settlement.outcomes import BY, add_to_carry

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
REASON_CHARACTERS = 500
ALLOCATE = f"""
    INSERT INTO settlement_allocation (conversion_id, {", ".join(netting.Share._fields)})
    SELECT %s, v.* FROM unnest(
        %s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[]) AS v
"""  # noqa: S608 - the columns are our own


def balance_filled(*, now: datetime) -> int:
    """Book every conversion that is FILLED; how many were booked. One that cannot be does not stop the others.

    Not at a desk that was restored: counter may have been told of it, and when, which is found out first.
    """
    if halts.is_held(settings.VENUE):
        return 0
    booked = 0
    for conversion in Conversion.objects.filter(state=Conversion.State.FILLED).order_by("id"):
        try:
            booked += book(conversion, now=now)
        except Exception as error:
            _say_why_not(conversion, error)
            orders = AcceptedOrder.objects.filter(conversion_id=conversion.pk).values_list(
                "order_id", flat=True
            )
            log.exception("conversion cannot be booked", conversion=conversion.pk, orders=trail.runs(orders))
    return booked


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
    orders = AcceptedOrder.objects.filter(conversion_id=conversion.pk)
    demands = [demand_of(*row) for row in orders.order_by("id").values_list(*DEMANDED)]
    fills = list(conversion.fills.order_by("id"))
    settlement = netting.settle(
        demands=demands,
        carry=netting.Carry(coin=conversion.carry_in_coin, usdt=conversion.carry_in_usdt),
        fill=netted_fill(conversion, fills),
        price_if_unfilled=conversion.reference_price,
    )
    with transaction.atomic(using="desk"):
        # First of all: whoever moves the conversion is the one who books it.
        history.advance(
            conversion,
            Conversion.book,
            at=now,
            by=BY,
            price=settlement.price,
            fee_usdt=settlement.fee_total,
            carry_out_coin=settlement.carry_out.coin,
            carry_out_usdt=settlement.carry_out.usdt,
            booked_at=now,
        )
        settled = move_selected(orders, AcceptedOrder.settle, same={"settled_at": now}, returning=["id"])
        if len(settled) != len(demands):
            raise RuntimeError(f"{len(demands)} orders to settle, {len(settled)} settled")
        _allocate(conversion, settlement)
        _post_legs(conversion, fills, demands, settlement, now)
        add_to_carry(conversion.underlying, coin=settlement.carry_out.coin, usdt=settlement.carry_out.usdt)
    return len(demands)


def netted_fill(conversion: Conversion, fills: Sequence[Fill]) -> NettedFill | None:
    """A conversion's trades added up, their fees told apart by what they were taken in.

    What was written off counts like a trade without a fee: the other side of it is suspense instead of the venue.
    """
    if not fills and not conversion.written_off_coin:
        return None
    coin_fees = [fill.fee for fill in fills if fill.fee_asset == conversion.underlying]
    usdt_fees = [fill.fee for fill in fills if fill.fee_asset == USDT]
    return NettedFill(
        side=conversion.side,  # type: ignore[arg-type]
        coin=sum((fill.coin for fill in fills), conversion.written_off_coin),
        usdt=sum((fill.usdt for fill in fills), conversion.written_off_usdt),
        fee_coin=sum(coin_fees, ZERO),
        fee_usdt=sum(usdt_fees, ZERO),
        fee_other_usdt=sum((fill.fee_usdt for fill in fills if fill.fee_usdt is not None), ZERO),
    )


def _allocate(conversion: Conversion, settlement: netting.Settlement) -> None:
    with connections["desk"].cursor() as cursor:
        cursor.execute(ALLOCATE, [conversion.pk, *columns(settlement.shares, netting.Share._fields)])


def _post_legs(
    conversion: Conversion,
    fills: Sequence[Fill],
    demands: Sequence[netting.Demand],
    settlement: netting.Settlement,
    now: datetime,
) -> None:
    """The legs of docs/decisions/netting.md: afterwards the trading account holds the carry and nothing else."""
    legs = Legs(now=now, conversion_id=conversion.pk)
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
    legs.post()


def _at_fill(demand: netting.Demand) -> bool:
    return demand.side == "sell" and demand.payout == "at_fill"
