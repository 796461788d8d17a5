"""Converting one batch of orders of a coin: plan it, and send at most one venue order.

Guards against trading twice: client id and attempt are committed before anything is sent, what is sent carries the
moment before that commit and is refused by the venue when it comes late, and what may be there is never sent again.
"""

from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, QuerySet
from django.utils import timezone

from acceptance.models import AcceptedOrder
from config.transitions import move
from settlement import halts, history, netting, treasury
from settlement.history import MovedMeanwhile
from settlement.models import Attempt, Carry, Conversion
from settlement.outcomes import BY, after_failure, after_report, miss
from settlement.policy import Follow
from settlement.venues.protocol import Market, TopOfBook, Venue, VenueError

log = structlog.get_logger(__name__)

COIN_UNIT = Decimal("0.00000001")


def demand_of(order: AcceptedOrder) -> netting.Demand:
    """What an accepted order needs of the netting."""
    return netting.Demand(
        order_id=order.pk,
        side="buy" if order.kind == "OPEN" else "sell",
        coin=order.coin,
        fair=order.fair,
        payout=order.payout,  # type: ignore[arg-type]
    )


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
    """Whether an order waits, or what is carried might be worth an order of its own."""
    return orders_wait(underlying) or (
        _carry_is_worth_converting(underlying) and not _held_up(underlying).exists()
    )


def orders_wait(underlying: str) -> bool:
    """Whether an order waits for a conversion that may be made now."""
    waiting = AcceptedOrder.objects.filter(underlying=underlying, state=AcceptedOrder.State.RECEIVED)
    return waiting.exclude(Exists(_held_up(underlying))).exists()


def _held_up(underlying: str) -> QuerySet[Conversion]:
    """Conversions of the coin that wait to be sent again: the venue would say no once more, so orders gather."""
    return Conversion.objects.filter(underlying=underlying, state=Conversion.State.RETRY_WAIT)


def _carry_is_worth_converting(underlying: str) -> bool:
    """Whether the carry alone exceeds CARRY_WORTH_CONVERTING_USDT, so that it should not wait for orders."""
    carry = Carry.objects.filter(pk=underlying).first()
    return carry is not None and abs(carry.usdt) >= settings.CARRY_WORTH_CONVERTING_USDT


def plan(
    *, underlying: str, market: Market, top: TopOfBook, now: datetime
) -> tuple[Conversion, Attempt | None] | None:
    """Claim the waiting orders and the carry for a new conversion, in one transaction.

    With something to trade it is committed as SUBMITTED together with its attempt, ready to be sent; a pure crossing
    is committed as FILLED. None when there is nothing to claim.
    """
    with transaction.atomic(using="desk"):
        carry, _ = Carry.objects.select_for_update().get_or_create(underlying=underlying)
        orders = list(
            AcceptedOrder.objects.select_for_update(skip_locked=True)
            .filter(underlying=underlying, state=AcceptedOrder.State.RECEIVED)
            .order_by("id")[: settings.CONVERSION_MAX_ORDERS]
        )
        plan = netting.plan(
            demands=[demand_of(order) for order in orders],
            carry=netting.Carry(coin=carry.coin, usdt=carry.usdt),
            lot=_lot_at(market, top),
            # The least that a venue may reckon with when it compares an order with its least notional.
            reference_price=limit_within_band("sell", top, market.tick),
        )
        if not orders and not plan.quantity:
            return None
        conversion = Conversion.objects.create(
            underlying=underlying,
            order_count=len(orders),
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
        history.created(conversion, at=now, by=BY)
        carry.coin = carry.usdt = Decimal(0)
        carry.save()
        claimed = move(
            AcceptedOrder,
            AcceptedOrder.convert,
            [order.pk for order in orders],
            same={"conversion_id": conversion.pk, "converting_at": now},
        )
        if len(claimed) != len(orders):
            raise RuntimeError(f"{len(orders)} orders locked, {len(claimed)} claimed")
        if not plan.quantity:
            history.advance(conversion, Conversion.fill, at=now, by=BY, why="nothing to trade", filled_at=now)
            return conversion, None
        return conversion, _ready(conversion, market, top, now)


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
        attempt = _ready(conversion, market, top, now)
    _send(conversion, attempt, venue, stamp)


def _ready(conversion: Conversion, market: Market, top: TopOfBook, now: datetime) -> Attempt:
    """Commit to sending: the state, the limit price and the attempt are stored first."""
    limit_price = limit_within_band(conversion.side, top, market.tick)
    history.advance(
        conversion,
        Conversion.submit,
        at=now,
        by=BY,
        limit_price=limit_price,
        submitted_at=now,
        attempts=conversion.attempts + 1,
        misses=0,
        due_at=None,
        waits_for_id=None,
    )
    request = {
        "symbol": market.symbol,
        "side": conversion.side,
        "quantity": conversion.quantity,
        "limit_price": limit_price,
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
