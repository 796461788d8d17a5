"""What people may do about a conversion: have it asked for again, take it over, book it, release it, write it off.

Nothing here sends an order. What the venue may have is ended by its own word (retry), or by two people with evidence
that the venue, asked at that moment, does not contradict.
"""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db import transaction

from infra.broker.dispatcher import dispatcher
from infra.db.after_commit import after_commit
from infra.db.lifecycles import moves
from infra.db.rows import insert
from ledger.decimals import calculating
from settlement.conversions import balancing, outcomes
from settlement.interventions.asking import no_execution_known, same_execution_known
from settlement.interventions.operations import Deed, Operation
from settlement.interventions.terms import OrderTerms, Refused, Terms, check_trade
from settlement.models import Conversion, Fill, Intervention, ReconciliationBreak
from settlement.models.conversions import was_sent
from settlement.models.history import Subject
from settlement.netting.units import worth_usdt
from settlement.task_triggers import BALANCE, RESUME, settle_soon
from settlement.venues import error_table, halts, state_history
from settlement.venues.state_history import MovedMeanwhile

CLOCK_MARGIN = timedelta(seconds=60)  # by which the venue's clock may differ from ours
MAX_VENUE_ID_CHARACTERS = 64
State, Kind = Conversion.State, Intervention.Kind


def _can_be_tried(row: Conversion, terms: Terms, now: datetime) -> None:
    if row.state == State.FILLED:
        if halts.is_held(settings.VENUE):
            raise Refused("the desk was restored: manage.py after_restore books it as counter was told")
        _would_be_booked(row, now)
    elif not was_sent(row):
        raise Refused("it was never sent, so the venue cannot be asked for it")


def _would_be_booked(row: Conversion, now: datetime) -> None:
    """Book it and undo it. Raises: Refused, with what stands against it, which the person has to see."""
    try:
        with transaction.atomic(using="desk"):
            balancing.enter(Conversion.objects.get(pk=row.pk), now=now)
            transaction.set_rollback(True, using="desk")
    except MovedMeanwhile:
        raise
    except Exception as error:
        raise Refused(f"it cannot be booked: {error}") from error


def _may_be_undone(row: Conversion, terms: Terms, now: datetime) -> None:
    """Too early nothing can be said: what was sent may still arrive."""
    if row.filled_coin:
        raise Refused("the venue has executed it")
    if row.submitted_at and now - row.submitted_at < timedelta(seconds=error_table.MISSED_AFTER_SECONDS):
        raise Refused(
            f"it was sent less than {error_table.MISSED_AFTER_SECONDS:.0f} s ago and may still arrive"
        )


@calculating()
def _fits(row: Conversion, terms: OrderTerms, now: datetime) -> None:
    """Whether the trades can be those of this order, and nobody else's."""
    if not 0 < len(terms.venue_order_id) <= MAX_VENUE_ID_CHARACTERS or not terms.trades:
        raise Refused("the venue's order id and at least one trade are needed")
    for trade in terms.trades:
        check_trade(trade, underlying=row.underlying)
        if not row.planned_at - CLOCK_MARGIN <= trade.traded_at <= now + CLOCK_MARGIN:
            raise Refused(f"trade {trade.venue_trade_id} is not of the time since the order was planned")
        _within_limit(row, trade.price)
    ids = [trade.venue_trade_id for trade in terms.trades]
    twice = [trade_id for trade_id, times in Counter(ids).items() if times > 1]
    symbol = settings.COINS[row.underlying]
    taken = list(
        Fill.objects.filter(symbol=symbol, venue_trade_id__in=ids).values_list("venue_trade_id", flat=True)
    )
    taken += ReconciliationBreak.objects.filter(
        symbol=symbol, venue_trade_id__in=ids, written_off_at__isnull=False
    ).values_list("venue_trade_id", flat=True)
    if twice or taken:
        raise Refused(f"trades are there twice or booked already: {', '.join(twice + taken)}")
    coin = sum((trade.coin for trade in terms.trades), Decimal(0))
    if coin > row.quantity:
        raise Refused(f"{coin} {row.underlying} is more than the {row.quantity} that were ordered")
    others = Conversion.objects.filter(underlying=row.underlying, venue_order_id=terms.venue_order_id)
    if others.exclude(pk=row.pk).exists():
        raise Refused(f"order {terms.venue_order_id} belongs to another conversion")


def _within_limit(row: Conversion, price: Decimal) -> None:
    beyond = row.limit_price is not None and (
        price > row.limit_price if row.side == Conversion.Side.BUY else price < row.limit_price
    )
    if beyond:
        raise Refused(f"at {price} the order, with its limit of {row.limit_price}, cannot have traded")


@moves(Conversion.hand_back)
def _retry(deed: Deed) -> None:
    """Of one that is FILLED nothing changes here: the desk, called for at once, books what the venue has executed."""
    if deed.row.state != State.FILLED:
        with state_history.moving(deed.row, at=deed.now, by=deed.by, why=deed.why):
            deed.row.hand_back()
            deed.row.due_at, deed.row.misses, deed.row.reason = deed.now, 0, deed.why
    _after_commit(partial(dispatcher.send, RESUME))


@moves(Conversion.hand_over, State.UNKNOWN, State.RETRY_WAIT)
def _take_over(deed: Deed) -> None:
    with state_history.moving(deed.row, at=deed.now, by=deed.by, why=deed.why):
        deed.row.hand_over()
        deed.row.due_at, deed.row.reason = None, deed.why


@moves(Conversion.fill, State.MANUAL)
@calculating()
def _book_by_hand(deed: Deed) -> None:
    row, terms = deed.row, deed.terms
    with state_history.moving(row, at=deed.now, by=deed.by, why=deed.why):
        row.fill()
        row.venue_order_id = terms.venue_order_id
        row.filled_coin = sum((trade.coin for trade in terms.trades), Decimal(0))
        row.filled_usdt = sum((trade.usdt for trade in terms.trades), Decimal(0))
        row.filled_at, row.due_at, row.reason = deed.now, None, deed.why
    symbol = settings.COINS[row.underlying]
    insert(
        [
            Fill(conversion=row, symbol=symbol, intervention_id=deed.intervention_id, **_fill_columns(trade))
            for trade in terms.trades
        ]
    )
    _enter(deed)


def _fill_columns(trade: Terms) -> dict[str, object]:
    return {name: getattr(trade, name) for name in trade.__struct_fields__}


@moves(Conversion.fill, State.MANUAL)
def _write_off(deed: Deed) -> None:
    row = deed.row
    with state_history.moving(row, at=deed.now, by=deed.by, why=deed.why):
        row.fill()
        row.written_off_coin = row.quantity
        row.written_off_usdt = worth_usdt(row.reference_price, row.quantity)
        row.filled_at, row.due_at, row.reason = deed.now, None, deed.why
    _enter(deed)


def _enter(deed: Deed) -> None:
    balancing.enter(deed.row, now=deed.now)
    _after_commit(partial(dispatcher.send, BALANCE))


@moves(Conversion.release)
def _release(deed: Deed) -> None:
    outcomes.give_back(deed.row, Conversion.release, why=deed.why, by=deed.by, now=deed.now)
    _after_commit(partial(settle_soon, deed.row.underlying))


def _after_commit(call: partial[None]) -> None:
    # Robust: what cannot be sent now is done by the next sweep.
    after_commit(call, using="desk")


OPERATIONS = (
    Operation(
        kind=Kind.RETRY,
        subject=Subject.CONVERSION,
        title="Try again",
        does="The venue is asked for the order once more. If it shows fills they are booked; if it certainly has "
        "nothing, the orders are released and converted anew. Nothing is sent before that is certain. One that is "
        "FILLED the desk books by itself: it is called for at once, or it is shown what stands against that.",
        states=(State.MANUAL, State.FILLED),
        check=_can_be_tried,
        apply=_retry,
    ),
    Operation(
        kind=Kind.TAKE_OVER,
        subject=Subject.CONVERSION,
        title="Take over",
        does="The desk leaves it alone from now on: it is neither asked for nor sent, until a person decides.",
        states=(State.UNKNOWN, State.RETRY_WAIT),
        apply=_take_over,
    ),
    Operation(
        kind=Kind.BOOK_BY_HAND,
        subject=Subject.CONVERSION,
        title="Book by hand",
        does="The trades given here are booked as the fills of the order, and its orders settled by them.",
        states=(State.MANUAL,),
        terms=OrderTerms,
        check=_fits,
        ask=same_execution_known,
        apply=_book_by_hand,
    ),
    Operation(
        kind=Kind.RELEASE,
        subject=Subject.CONVERSION,
        title="Release the orders",
        does="The order counts as never executed: its orders and its carry go into the next conversion, which is sent "
        "under an id of its own. If the venue did execute it, the desk will have traded twice.",
        states=(State.MANUAL,),
        check=_may_be_undone,
        ask=no_execution_known,
        apply=_release,
    ),
    Operation(
        kind=Kind.WRITE_OFF,
        subject=Subject.CONVERSION,
        title="Write off to suspense",
        does="Its orders are settled at the reference price at which it was planned. The coin and the USDT of the "
        "whole order go to the account suspense instead of the venue's wallet, until somebody can explain them.",
        states=(State.MANUAL,),
        check=_may_be_undone,
        ask=no_execution_known,
        apply=_write_off,
    ),
)
