"""Converting one batch of orders of a coin: plan it, send at most one venue order, learn what became of it.

Guards against trading twice: the client id and the attempt are committed before anything is sent, a doubtful answer
is only ever resolved by asking for that id, and every step moves the row only from the state and version it was read in.
"""

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from acceptance.models import AcceptedOrder
from config.transitions import move
from settlement import history, netting, policy
from settlement.history import MovedMeanwhile
from settlement.models import Attempt, Carry, Conversion, Fill
from settlement.policy import Follow, Outcome
from settlement.venues.protocol import Market, OrderReport, TopOfBook, Trade, Venue, VenueError

log = structlog.get_logger(__name__)

BY = "settlement"


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
    """
    if not needs_conversion(underlying):
        return None
    market, top = venue.market(underlying), venue.top_of_book(underlying)
    planned = plan(underlying=underlying, market=market, top=top, now=now)
    if planned is None:
        return None
    conversion, attempt = planned
    if attempt is not None:
        _send(conversion, attempt, venue)
    return conversion


def needs_conversion(underlying: str) -> bool:
    """Whether an order waits, or what is carried might be worth an order of its own."""
    if AcceptedOrder.objects.filter(underlying=underlying, state=AcceptedOrder.State.RECEIVED).exists():
        return True
    return carry_is_worth_converting(underlying)


def carry_is_worth_converting(underlying: str) -> bool:
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
            lot=market.lot,
            reference_price=top.mid,
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
        move(
            AcceptedOrder,
            AcceptedOrder.convert,
            [order.pk for order in orders],
            same={"conversion_id": conversion.pk, "converting_at": now},
        )
        if not plan.quantity:
            history.advance(conversion, Conversion.fill, at=now, by=BY, why="nothing to trade", filled_at=now)
            return conversion, None
        return conversion, _ready(conversion, market, top, now)


def send_again(conversion: Conversion, venue: Venue, now: datetime) -> None:
    """Send a conversion that the venue has certainly not executed once more, at the price of now.

    Raises: MovedMeanwhile; VenueError when prices cannot be had (nothing was sent then).
    """
    market, top = venue.market(conversion.underlying), venue.top_of_book(conversion.underlying)
    with transaction.atomic(using="desk"):
        attempt = _ready(conversion, market, top, now)
    _send(conversion, attempt, venue)


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
    )
    request = {
        "symbol": market.symbol,
        "side": conversion.side,
        "quantity": conversion.quantity,
        "limit_price": limit_price,
        "client_order_id": conversion.client_order_id,
    }
    return history.begin_attempt(conversion, Attempt.Call.SUBMIT, request, at=now)


def limit_within_band(side: str, top: TopOfBook, tick: Decimal) -> Decimal:
    """The worst price that is still acceptable: the touch moved by PRICE_BAND_RATE, on the venue's tick inside it."""
    band, rounding = settings.PRICE_BAND_RATE, ROUND_FLOOR if side == "buy" else ROUND_CEILING
    price = top.ask * (1 + band) if side == "buy" else top.bid * (1 - band)
    return (price / tick).to_integral_value(rounding) * tick


def _send(conversion: Conversion, attempt: Attempt, venue: Venue) -> None:
    assert conversion.limit_price is not None  # noqa: S101 - set when it was made ready
    try:
        report = venue.submit(
            underlying=conversion.underlying,
            client_order_id=conversion.client_order_id,
            side=conversion.side,  # type: ignore[arg-type]
            quantity=conversion.quantity,
            limit_price=conversion.limit_price,
        )
        fees = value_fees(report.trades, conversion.underlying, venue)
    except VenueError as error:
        after_failure(conversion, attempt, error, now=timezone.now())
        return
    try:
        after_report(conversion, attempt, report, fees, now=timezone.now())
    except MovedMeanwhile:
        log.info("conversion was resolved by somebody else", conversion=conversion.pk)


def value_fees(trades: tuple[Trade, ...], underlying: str, venue: Venue) -> dict[str, Decimal]:
    """USDT for one unit of each third asset that a fee was taken in.

    Raises: VenueError.
    """
    third = {trade.fee_asset for trade in trades if trade.fee} - {underlying, "USDT"}
    return {asset: venue.value_in_usdt(asset) for asset in sorted(third)}


def after_report(
    conversion: Conversion,
    attempt: Attempt,
    report: OrderReport,
    fee_values: dict[str, Decimal],
    *,
    now: datetime,
) -> None:
    """Store what the venue says became of the order: filled, executed nothing, or still alive (asked again).

    Raises: MovedMeanwhile, after which nothing is stored.
    """
    with transaction.atomic(using="desk"):
        outcome = Outcome.DONE if report.final else Outcome.UNKNOWN
        history.end_attempt(attempt, outcome=outcome, code="", answer=report.raw, at=now)
        if not report.final:
            _lose_sight(
                conversion, "the order is still alive at the venue", now, venue_order_id=report.venue_order_id
            )
        elif report.filled_coin == 0:
            miss(conversion, why="the venue executed nothing", now=now, venue_order_id=report.venue_order_id)
        else:
            Fill.objects.bulk_create(_fill(conversion, trade, fee_values) for trade in report.trades)
            history.advance(
                conversion,
                Conversion.fill,
                at=now,
                by=BY,
                venue_order_id=report.venue_order_id,
                filled_coin=report.filled_coin,
                filled_usdt=sum((trade.usdt for trade in report.trades), Decimal(0)),
                filled_at=now,
                due_at=None,
            )


def _fill(conversion: Conversion, trade: Trade, fee_values: dict[str, Decimal]) -> Fill:
    value = fee_values.get(trade.fee_asset)
    return Fill(
        conversion=conversion,
        symbol=settings.COINS[conversion.underlying],
        venue_trade_id=trade.venue_trade_id,
        price=trade.price,
        coin=trade.coin,
        usdt=trade.usdt,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        fee_usdt=None if value is None else (value * trade.fee).quantize(Decimal("0.00000001")),
        traded_at=trade.traded_at,
    )


def after_failure(conversion: Conversion, attempt: Attempt, error: VenueError, *, now: datetime) -> None:
    """Do what the error table says: ask, wait and send again, ask for funds, or hand over to a person."""
    verdict = policy.judge(kind=error.kind, code=error.code)
    log.warning(
        "venue call failed",
        conversion=conversion.pk,
        kind=error.kind,
        code=error.code,
        outcome=verdict.outcome.value,
        follow=verdict.follow.value,
    )
    why = f"{error.kind} {error.code}: {verdict.why}"
    pause = error.retry_after_seconds or policy.backoff_seconds(conversion.attempts)
    try:
        with transaction.atomic(using="desk"):
            history.end_attempt(
                attempt,
                outcome=verdict.outcome,
                code=f"{error.kind} {error.code}".strip(),
                answer=error.raw or str(error),
                at=now,
            )
            if verdict.follow is Follow.ASK:
                _lose_sight(conversion, why, now)
            elif verdict.follow is Follow.HUMAN or conversion.attempts >= policy.RETRY_LIMIT:
                history.advance(
                    conversion, Conversion.hand_over, at=now, by=BY, why=why, reason=why, due_at=None
                )
            else:
                history.advance(
                    conversion,
                    Conversion.wait,
                    at=now,
                    by=BY,
                    why=why,
                    reason=why,
                    due_at=now + timedelta(seconds=pause),
                )
    except MovedMeanwhile:
        log.info("conversion was resolved by somebody else", conversion=conversion.pk)


def _lose_sight(conversion: Conversion, why: str, now: datetime, **changes: object) -> None:
    due_at = now + timedelta(seconds=policy.backoff_seconds(1))
    if conversion.state == Conversion.State.UNKNOWN:
        return
    history.advance(
        conversion, Conversion.lose_sight, at=now, by=BY, why=why, reason=why, due_at=due_at, **changes
    )


def miss(conversion: Conversion, *, why: str, now: datetime, venue_order_id: str = "") -> None:
    """End a conversion of which nothing was executed: its orders and its carry wait for the next one.

    Raises: MovedMeanwhile.
    """
    give_back(conversion, Conversion.miss, why=why, by=BY, now=now, venue_order_id=venue_order_id)


def give_back(
    conversion: Conversion,
    transition_method: object,
    *,
    why: str,
    by: str,
    now: datetime,
    venue_order_id: str = "",
) -> None:
    """Release orders and carry of a conversion that has certainly executed nothing.

    Raises: MovedMeanwhile.
    """
    with transaction.atomic(using="desk"):
        carry = Carry.objects.select_for_update().get(pk=conversion.underlying)
        history.advance(
            conversion,
            transition_method,
            at=now,
            by=by,
            why=why,
            reason=why,
            venue_order_id=venue_order_id,
            due_at=None,
        )
        carry.coin += conversion.carry_in_coin
        carry.usdt += conversion.carry_in_usdt
        carry.save()
        orders = AcceptedOrder.objects.filter(conversion_id=conversion.pk).values_list("id", flat=True)
        move(
            AcceptedOrder,
            AcceptedOrder.release,
            list(orders),
            same={"conversion_id": None, "converting_at": None},
        )
