"""Converting one batch of orders of a coin: plan it, and send at most one venue order.

Guards against trading twice: client id and attempt are committed before anything is sent, what is sent carries the
moment before that commit and is refused by the venue when it comes late, and what may be there is never sent again.
"""

from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from acceptance.models import AcceptedOrder
from config import trail
from config.transitions import move_selected
from settlement import halts, history, netting, treasury
from settlement.history import MovedMeanwhile
from settlement.models import Attempt, Carry, Conversion
from settlement.outcomes import BY, after_failure, after_report, miss
from settlement.policy import Follow
from settlement.venues.protocol import Market, TopOfBook, Venue, VenueError

log = structlog.get_logger(__name__)

COIN_UNIT = Decimal("0.00000001")
WAITING = """
    SELECT EXISTS (SELECT FROM acceptance_acceptedorder WHERE underlying = %(underlying)s AND state = 'RECEIVED'),
           EXISTS (SELECT FROM settlement_carry WHERE underlying = %(underlying)s AND abs(usdt) >= %(least)s),
           EXISTS (SELECT FROM settlement_conversion WHERE underlying = %(underlying)s AND state = 'RETRY_WAIT')
"""
LOCK_CARRY = """
    SELECT nextval(pg_get_serial_sequence('settlement_conversion', 'id')), coin, usdt
    FROM settlement_carry WHERE underlying = %s FOR UPDATE
"""
DEMANDED = ("id", "kind", "coin", "fair", "payout")  # of an accepted order, what its netting has to know


def demand_of(
    order_id: int, kind: str, coin: Decimal, fair: Decimal, payout: netting.Payout
) -> netting.Demand:
    """What an accepted order needs of the netting."""
    return netting.Demand(order_id, "buy" if kind == "OPEN" else "sell", coin, fair, payout)


def convert_waiting(*, underlying: str, venue: Venue, now: datetime) -> Conversion | None:
    """Plan one conversion of everything that waits for this coin and send its venue order.

    Returns the conversion, in whatever state the venue's answer left it, or None when nothing had to be done.

    Raises: VenueError when prices or balances cannot be had or the venue is halted; nothing was claimed then.
    """
    if not needs_conversion(underlying):
        return None
    halts.refuse_if_halted(venue.name)
    treasury.open_books(venue=venue, now=now)
    # Stamped before the prices are read: what is sent at prices that came slowly is refused by the venue as late.
    stamp = venue.stamp()
    market, top = venue.market(underlying), venue.top_of_book(underlying)
    planned = plan(underlying=underlying, market=market, top=top, now=now)
    if planned is None:
        return None
    conversion, attempt = planned
    if attempt is not None:
        _send(conversion, attempt, venue, stamp)
    return conversion


def needs_conversion(underlying: str) -> bool:
    """Whether an order waits, or what is carried is worth an order of its own, and a conversion may be made now."""
    waits, large_carry = _waiting(underlying)
    return waits or large_carry


def orders_wait(underlying: str) -> bool:
    """Whether an order waits for a conversion that may be made now."""
    waits, _ = _waiting(underlying)
    return waits


def _waiting(underlying: str) -> tuple[bool, bool]:
    """Whether orders wait, and whether the carry exceeds CARRY_WORTH_CONVERTING_USDT and should not wait for any.

    Neither while a conversion waits to be sent again: the venue would say no once more, so orders gather.
    """
    least = settings.CARRY_WORTH_CONVERTING_USDT
    with connections["desk"].cursor() as cursor:
        cursor.execute(WAITING, {"underlying": underlying, "least": least})
        waits, large_carry, held_up = cursor.fetchone()
    return waits and not held_up, large_carry and not held_up


def plan(
    *, underlying: str, market: Market, top: TopOfBook, now: datetime
) -> tuple[Conversion, Attempt | None] | None:
    """Claim the waiting orders and the carry for a new conversion, in one transaction.

    With something to trade it is committed as SUBMITTED together with its attempt, ready to be sent; a pure crossing
    is committed as FILLED. None when there is nothing to claim.
    """
    with transaction.atomic(using="desk"):
        conversion_id, carry = lock_carry(underlying)
        claimed, order_ids = _claim(underlying, conversion_id, now)
        plan = netting.plan(
            demands=claimed,
            carry=carry,
            lot=_lot_at(market, top),
            # The least that a venue may reckon with when it compares an order with its least notional.
            reference_price=limit_within_band("sell", top, market.tick),
        )
        if not claimed and not plan.quantity:
            return None
        if carry.coin or carry.usdt:
            Carry.objects.filter(pk=underlying).update(coin=0, usdt=0)
        conversion = Conversion(
            id=conversion_id,
            underlying=underlying,
            order_count=len(claimed),
            bought=plan.bought,
            sold=plan.sold,
            crossed=plan.crossed,
            carry_in_coin=carry.coin,
            carry_in_usdt=carry.usdt,
            reference_price=top.mid,
            side=plan.side or "",
            quantity=plan.quantity,
            client_order_id=f"xb{uuid4().hex}",
            planned_at=now,
        )
        trail.tell("orders netted", using="desk", conversion=conversion_id, orders=trail.runs(order_ids))
        if not plan.quantity:
            why = "nothing to trade"
            history.create(conversion, Conversion.fill, at=now, by=BY, why=why, filled_at=now)
            return conversion, None
        history.create(conversion, Conversion.submit, at=now, by=BY, **_sending(conversion, market, top, now))
        return conversion, _begin_attempt(conversion, market, now)


def _claim(underlying: str, conversion_id: int, now: datetime) -> tuple[list[netting.Demand], list[int]]:
    """Claim the oldest waiting orders that nobody else is claiming; what they demand, and what counter calls them."""
    waiting = AcceptedOrder.objects.filter(underlying=underlying, state=AcceptedOrder.State.RECEIVED)
    claimed = move_selected(
        waiting.order_by("id").select_for_update(skip_locked=True)[: settings.CONVERSION_MAX_ORDERS],
        AcceptedOrder.convert,
        same={"conversion_id": conversion_id, "converting_at": now},
        returning=("order_id", *DEMANDED),
    )
    return [demand_of(*row[1:]) for row in claimed], [row[0] for row in claimed]


def lock_carry(underlying: str) -> tuple[int, netting.Carry]:
    """The coin's carry, locked, and an id for the conversion that may claim it."""
    with connections["desk"].cursor() as cursor:
        cursor.execute(LOCK_CARRY, [underlying])
        row = cursor.fetchone()
    if row is None:
        Carry.objects.get_or_create(underlying=underlying)
        return lock_carry(underlying)
    conversion_id, coin, usdt = row
    return conversion_id, netting.Carry(coin=coin, usdt=usdt)


def send_again(conversion: Conversion, venue: Venue, now: datetime) -> None:
    """Send a conversion that the venue has certainly not executed once more, at the price of now.

    Raises: MovedMeanwhile; VenueError when prices cannot be had or the venue is halted (nothing was sent then).
    """
    halts.refuse_if_halted(venue.name)
    stamp = venue.stamp()
    market, top = venue.market(conversion.underlying), venue.top_of_book(conversion.underlying)
    notional = conversion.quantity * limit_within_band(conversion.side, top, market.tick)
    if not market.lot.min_notional <= notional <= market.max_notional:
        miss(conversion, why=f"at the price of now the venue would not take {notional} USDT", now=now)
        return
    with transaction.atomic(using="desk"):
        changes = _sending(conversion, market, top, now)
        history.advance(conversion, Conversion.submit, at=now, by=BY, **changes)
        attempt = _begin_attempt(conversion, market, now)
    _send(conversion, attempt, venue, stamp)


def _sending(conversion: Conversion, market: Market, top: TopOfBook, now: datetime) -> dict[str, Any]:
    """What is stored of a conversion before it is sent: above all its limit price."""
    return {
        "limit_price": limit_within_band(conversion.side, top, market.tick),
        "submitted_at": now,
        "attempts": conversion.attempts + 1,
        "misses": 0,
        "due_at": None,
        "waits_for_id": None,
    }


def _begin_attempt(conversion: Conversion, market: Market, now: datetime) -> Attempt:
    request = {
        "symbol": market.symbol,
        "side": conversion.side,
        "quantity": conversion.quantity,
        "limit_price": conversion.limit_price,
        "client_order_id": conversion.client_order_id,
    }
    return history.begin_attempt(conversion, Attempt.Call.SUBMIT, request, at=now)


def _lot_at(market: Market, top: TopOfBook) -> netting.Lot:
    """The market's lot with a largest quantity whose worth at the highest limit the venue still takes."""
    largest = market.max_notional / limit_within_band("buy", top, market.tick)
    return replace(market.lot, max_qty=min(market.lot.max_qty, largest.quantize(COIN_UNIT, ROUND_FLOOR)))


def limit_within_band(side: str, top: TopOfBook, tick: Decimal) -> Decimal:
    """The worst price that is still acceptable: the touch moved by PRICE_BAND_RATE, on the venue's tick inside it."""
    band, rounding = settings.PRICE_BAND_RATE, ROUND_FLOOR if side == "buy" else ROUND_CEILING
    price = top.ask * (1 + band) if side == "buy" else top.bid * (1 - band)
    return (price / tick).to_integral_value(rounding) * tick


def _send(conversion: Conversion, attempt: Attempt, venue: Venue, stamp: int) -> None:
    assert conversion.limit_price is not None  # noqa: S101 - set when it was made ready
    try:
        try:
            report = venue.submit(
                underlying=conversion.underlying,
                client_order_id=conversion.client_order_id,
                side=conversion.side,  # type: ignore[arg-type]
                quantity=conversion.quantity,
                limit_price=conversion.limit_price,
                stamp=stamp,
            )
        except VenueError as error:
            follow = after_failure(conversion, attempt, error, now=timezone.now())
        else:
            after_report(conversion, attempt, report, venue, now=timezone.now())
            return
    except MovedMeanwhile:
        log.info("conversion was resolved by somebody else", conversion=conversion.pk)
        return
    if conversion.state == Conversion.State.RETRY_WAIT:
        _after_no(conversion, follow, venue, timezone.now())


def _after_no(conversion: Conversion, follow: Follow, venue: Venue, now: datetime) -> None:
    """What a conversion that waits to be sent again needs at once."""
    if follow is Follow.TOP_UP:
        treasury.top_up(conversion=conversion, venue=venue, now=now)
    elif follow is Follow.RETRY_AT_ONCE and conversion.due_at is not None and conversion.due_at <= now:
        try:
            send_again(conversion, venue, now)
        except (MovedMeanwhile, VenueError) as error:
            log.info("left to the sweep", conversion=conversion.pk, why=str(error))
