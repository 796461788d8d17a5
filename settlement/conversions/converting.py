"""Converting one batch of orders of a coin: plan it, and send at most one venue order.

Guards against trading twice: client id and attempt are committed before anything is sent, what is sent carries the
moment before that commit and is refused by the venue when it comes late, and what may be there is never sent again.
"""

from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import transaction

from infra.coordination import clock
from infra.db.lifecycles import moves
from infra.observability import correlation
from ledger.decimals import EXACT, product, quotient
from settlement.conversions import balancing, chasing, coin_snapshot, round_statements
from settlement.conversions.chasing import Chase
from settlement.conversions.outcomes import BY, Book, after_failure, after_report, miss
from settlement.funds import treasury, venue_account
from settlement.models import Attempt, Conversion
from settlement.netting import net
from settlement.venues import error_table, halts, state_history
from settlement.venues.error_table import Follow
from settlement.venues.protocol import Market, TopOfBook, Venue, VenueError
from settlement.venues.state_history import MovedMeanwhile

log = structlog.get_logger(__name__)

COIN_UNIT = Decimal("0.00000001")


class Planned(NamedTuple):
    """A conversion that is stored, its attempt if an order is to be sent, and what its orders demand."""

    conversion: Conversion
    attempt: Attempt | None
    demands: list[net.Demand]


def convert_waiting(
    *,
    underlying: str,
    venue: Venue,
    now: datetime,
    chase: Chase | None = None,
    place: int = 0,
    books: bool = False,
) -> Conversion | None:
    """Plan one conversion of everything that waits for this coin and send its venue order, within a chase's bounds.

    Returns the conversion, in the state that the venue's answer left it in, or None when nothing had to be done. With
    `books` what was executed is booked in the transaction that stores it. `place` is that of its round among those of
    the coin that are under way; a further one does nothing while orders may be chased, which is the first one's.

    Raises: VenueError when prices or balances cannot be had or the venue is halted, PriceRanAway when no order within
    the chase's bounds would execute; nothing was claimed then.
    """
    seen = coin_snapshot.of(underlying, now=now)
    if not seen.needs_conversion or (place and seen.missed_lately):
        return None
    if seen.halted is not None:
        raise halts.VenueHalted(kind="VenueHalted", message=seen.halted)
    if seen.books_are_open:
        venue_account.require(venue, now=now)
    else:
        treasury.open_books(venue=venue, now=now)
    # Stamped before the prices are read: what is sent at prices that came slowly is refused by the venue as late.
    stamp = venue.stamp()
    market = _open_market(underlying, venue, now)
    top = venue.top_of_book(underlying, within_seconds=chasing.price_within_seconds(underlying, chase))
    if chase is not None and chase.too_far(top):
        raise PriceRanAway(kind="PriceRanAway", message=f"{top} is too far from {chase.reference_price}")
    planned = plan(underlying=underlying, market=market, top=top, now=now, chase=chase, place=place)
    if planned is None:
        return None
    conversion, attempt, demands = planned
    book = partial(balancing.book_filled, demands=demands, accounts=seen.accounts) if books else None
    if attempt is not None:
        _send(conversion, attempt, venue, stamp, book)
    return conversion


class PriceRanAway(VenueError):
    """The price has gone further than orders are chased; nothing was sent."""


def _open_market(underlying: str, venue: Venue, now: datetime) -> Market:
    """The coin's market. Raises: VenueError; VenueHalted, and halts the coin, when the venue shows it as closed."""
    market = venue.market(underlying)
    if not market.is_open:
        why = f"{market.symbol} is closed at the venue"
        halts.begin(venue=venue.name, underlying=underlying, reason=why, now=now)
        raise halts.VenueHalted(kind="VenueHalted", message=why)
    return market


def needs_conversion(underlying: str, *, now: datetime) -> bool:
    """Whether an order waits, or what is carried is worth an order of its own, and a conversion may be made now."""
    return coin_snapshot.anything_waits(underlying) and coin_snapshot.of(underlying, now=now).needs_conversion


def orders_wait(underlying: str, *, now: datetime) -> bool:
    """Whether an order waits for a conversion that may be made now."""
    return coin_snapshot.anything_waits(underlying) and coin_snapshot.of(underlying, now=now).orders_wait


@moves(Conversion.fill, Conversion.State.PLANNED)
@moves(Conversion.submit, Conversion.State.PLANNED)
def plan(
    *,
    underlying: str,
    market: Market,
    top: TopOfBook,
    now: datetime,
    chase: Chase | None = None,
    place: int = 0,
) -> Planned | None:
    """Claim the waiting orders and the carry for a new conversion, in one transaction.

    With something to trade it is committed as SUBMITTED together with its attempt, ready to be sent; a pure crossing
    is committed as FILLED. None when there is nothing to claim.
    """
    with transaction.atomic(using="desk"):
        conversion_id, carry, demands, order_ids = round_statements.claim(underlying, now=now)
        plan = net.plan(
            demands=demands,
            carry=carry,
            lot=_lot_at(market, top),
            # The least that a venue may reckon with when it compares an order with its least notional.
            reference_price=limit_within_band("sell", top, market.tick),
        )
        if not demands and not plan.quantity:
            return None
        conversion = Conversion(
            id=conversion_id,
            underlying=underlying,
            place=place,
            order_count=len(demands),
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
        correlation.tell(
            "orders netted", using="desk", conversion=conversion_id, orders=correlation.runs(order_ids)
        )
        attempt, why = None, ""
        if plan.quantity:
            sending = _sending(conversion, market, top, now, chase)
            notes = state_history.first_moves(conversion, Conversion.submit, at=now, by=BY, **sending)
            attempt = state_history.new_attempt(
                conversion, Attempt.Call.SUBMIT, _request(conversion, market, top), at=now
            )
        else:
            why = "nothing to trade"
            notes = state_history.first_moves(
                conversion, Conversion.fill, at=now, by=BY, why=why, filled_at=now
            )
        has_carry = bool(carry.coin or carry.usdt)
        round_statements.planned(conversion, notes, attempt, empties_carry=has_carry)
        state_history.tell(conversion, notes[-1].from_state, BY, why)
    return Planned(conversion, attempt, demands)


@moves(Conversion.submit, Conversion.State.RETRY_WAIT)
def send_again(conversion: Conversion, venue: Venue, now: datetime) -> None:
    """Send a conversion that the venue has certainly not executed once more, at the price of now.

    Raises: MovedMeanwhile; VenueError when prices cannot be had or the venue is halted (nothing was sent then).
    """
    halts.refuse_if_halted(venue.name, conversion.underlying)
    venue_account.require(venue, now=now)
    stamp = venue.stamp()
    market = _open_market(conversion.underlying, venue, now)
    top = venue.top_of_book(conversion.underlying, within_seconds=0)
    notional = product(conversion.quantity, limit_within_band(conversion.side, top, market.tick))
    if not market.lot.min_notional <= notional <= market.max_notional:
        miss(conversion, why=f"at the price of now the venue would not take {notional} USDT", now=now)
        return
    with transaction.atomic(using="desk"):
        changes = _sending(conversion, market, top, now)
        state_history.advance(conversion, Conversion.submit, at=now, by=BY, **changes)
        attempt = state_history.begin_attempt(
            conversion, Attempt.Call.SUBMIT, _request(conversion, market, top), at=now
        )
    _send(conversion, attempt, venue, stamp)


def _sending(
    conversion: Conversion, market: Market, top: TopOfBook, now: datetime, chase: Chase | None = None
) -> dict[str, Any]:
    """What is stored of a conversion before it is sent: above all its limit price."""
    limit_price = limit_within_band(conversion.side, top, market.tick)
    if chase is not None:
        limit_price = chase.bounded(limit_price, conversion.side, market.tick)
    return {
        "limit_price": limit_price,
        "submitted_at": now,
        "attempts": conversion.attempts + 1,
        "misses": 0,
        "due_at": None,
        "waits_for_id": None,
    }


def _request(conversion: Conversion, market: Market, top: TopOfBook) -> dict[str, Any]:
    """What an attempt says that is sent, and the price halfway between bid and ask at which that was decided."""
    return {
        "symbol": market.symbol,
        "side": conversion.side,
        "quantity": conversion.quantity,
        "limit_price": conversion.limit_price,
        "client_order_id": conversion.client_order_id,
        "mid": top.mid,
    }


def _lot_at(market: Market, top: TopOfBook) -> net.Lot:
    """The market's lot with a largest quantity whose worth at the highest limit the venue still takes."""
    highest = limit_within_band("buy", top, market.tick)
    largest = quotient(market.max_notional, highest, unit=COIN_UNIT, rounding=ROUND_FLOOR)
    return replace(market.lot, max_qty=min(market.lot.max_qty, largest))


def limit_within_band(side: str, top: TopOfBook, tick: Decimal) -> Decimal:
    """The worst price that is still acceptable: the touch moved by PRICE_BAND_RATE, on the venue's tick inside it."""
    band, rounding = settings.PRICE_BAND_RATE, ROUND_FLOOR if side == "buy" else ROUND_CEILING
    touch, moved = (top.ask, EXACT.add(1, band)) if side == "buy" else (top.bid, EXACT.subtract(1, band))
    return quotient(product(touch, moved), 1, unit=tick, rounding=rounding)


def _send(
    conversion: Conversion, attempt: Attempt, venue: Venue, stamp: int, book: Book | None = None
) -> None:
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
            follow = after_failure(conversion, attempt, error, now=clock.of("desk").now())
            if follow in (
                Follow.REPLAN,
                Follow.HALT,
            ):  # it may be for a filter that this process has not seen yet
                venue.forget_markets()
        else:
            after_report(conversion, attempt, report, venue, now=clock.of("desk").now(), book=book)
            return
    except MovedMeanwhile:
        log.info("conversion was resolved by somebody else", conversion=conversion.pk)
        return
    if conversion.state == Conversion.State.RETRY_WAIT:
        _after_no(conversion, follow, venue, clock.of("desk").now())


def _after_no(conversion: Conversion, follow: Follow, venue: Venue, now: datetime) -> None:
    """What a conversion that waits to be sent again needs at once."""
    if follow is Follow.TOP_UP:
        # A second time the funds are there and the venue does not see them yet: that takes its time.
        has_come = treasury.top_up(conversion=conversion, venue=venue, now=now)
        at_once = has_come and conversion.attempts <= error_table.AT_ONCE_LIMIT
    else:
        is_due = conversion.due_at is not None and conversion.due_at <= now
        at_once = follow is Follow.RETRY_AT_ONCE and is_due
    if at_once:
        try:
            send_again(conversion, venue, clock.of("desk").now())
        except (MovedMeanwhile, VenueError) as error:
            log.info("left to its due time", conversion=conversion.pk, why=str(error))
