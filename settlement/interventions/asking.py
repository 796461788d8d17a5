"""The venue's own word, asked for before two people decide: what it shows plainly cannot be decided otherwise.

Each question and its answer is an attempt like any other. A venue that is halted or does not answer contradicts nobody.
"""

from datetime import datetime
from typing import Any

from settlement.conversions import unknown
from settlement.funds import venue_account, wallets
from settlement.funds.transfers import fitting
from settlement.interventions.terms import FoundTerms, HandTrade, OrderTerms, Refused, Terms
from settlement.models import Attempt, Conversion, FundsTransfer, ReconciliationBreak
from settlement.reconciliation import trades
from settlement.venues import failures, halts, state_history
from settlement.venues.error_table import Outcome
from settlement.venues.protocol import OrderReport, Trade, TransferReport, Venue, VenueError

NOT_ASKED = "the venue is halted and was not asked"
UNKNOWN_THERE = "the venue says that it knows no such order"


class _Silent(Exception):
    """The venue was not asked or did not answer."""


def propose(row: Conversion, venue: Venue, now: datetime) -> OrderTerms:
    """What the venue shows under the conversion's own id, to be booked by hand.

    Raises: Refused when it shows nothing, or nothing final.
    """
    try:
        report = _order(row, venue, now)
    except _Silent as silence:
        raise Refused(str(silence)) from silence
    if report is None or not report.trades:
        raise Refused("the venue shows no trade of this order")
    if not report.final:
        raise Refused("the order is still alive at the venue")
    return OrderTerms(
        venue_order_id=report.venue_order_id, trades=tuple(_as_hand_trade(trade) for trade in report.trades)
    )


def no_execution_known(row: Conversion, terms: Terms, venue: Venue, now: datetime) -> str:
    """Refuses to undo what the venue shows as executed or alive. Raises: Refused."""
    try:
        report = _order(row, venue, now)
        doubt = unknown.what_speaks_for(row, venue) if report is None and row.submitted_at else ""
    except _Silent as silence:
        return str(silence)
    except VenueError as error:
        return f"{UNKNOWN_THERE}; what else it has cannot be read: {error}"
    if report is None:
        return f"{UNKNOWN_THERE}, but there is {doubt}" if doubt else UNKNOWN_THERE
    if not report.final:
        raise Refused("the order is still alive at the venue: have it asked for again")
    if report.filled_coin:
        raise Refused(
            f"the venue shows {report.filled_coin} executed: have it asked for again, and it is booked"
        )
    return "the venue shows the order with nothing executed"


def same_execution_known(row: Conversion, terms: OrderTerms, venue: Venue, now: datetime) -> str:
    """Refuses to book anything else than what the venue shows. Raises: Refused."""
    try:
        report = _order(row, venue, now)
    except _Silent as silence:
        return str(silence)
    if report is None:
        return UNKNOWN_THERE
    if not report.final:
        raise Refused("the order is still alive at the venue: have it asked for again")
    shown = {_compared(_as_hand_trade(trade)) for trade in report.trades}
    if report.venue_order_id != terms.venue_order_id or shown != {_compared(trade) for trade in terms.trades}:
        raise Refused(
            "the venue shows other trades of this order: read them from it, or have it asked for again"
        )
    return "the venue shows the same trades"


def trade_still_differs(row: ReconciliationBreak, terms: Terms, venue: Venue, now: datetime) -> str:
    """Refuses to accept a fill as it is once the venue shows something else than was found. Raises: Refused."""
    conversion = Conversion.objects.filter(pk=row.conversion_id or 0).first()
    if conversion is None or not conversion.client_order_id:
        return ""
    try:
        report = _order(conversion, venue, now)
    except _Silent as silence:
        return str(silence)
    shown = {trade.venue_trade_id: trade for trade in report.trades} if report else {}
    trade = shown.get(row.venue_trade_id)
    if trade is None:
        return UNKNOWN_THERE if report is None else "the venue does not show this trade of the order"
    if row.what == trades.NOT_AT_VENUE:
        raise Refused("the venue shows the trade now: the next run closes it")
    if not row.detail.endswith(f"at the venue {trades.content_of(trade)}"):
        raise Refused("the venue shows the trade otherwise than it was found: the next run shows it so")
    return "the venue shows the trade as it was found"


def not_done(row: FundsTransfer, terms: Terms, venue: Venue, now: datetime) -> str:
    """Refuses to undo a transfer that history or the reserve wallet show as done. Raises: Refused."""
    word = not_arrived(row, terms, venue, now)
    try:
        shows_in_wallet = halts.may_be_asked(venue.name) and wallets.speak_of_transfer(row, venue)
    except VenueError as error:
        return f"{word}; the reserve wallet cannot be read: {error}"
    if shows_in_wallet:
        raise Refused("the reserve wallet shows it as done")
    return word


def same_movement_known(row: FundsTransfer, terms: FoundTerms, venue: Venue, now: datetime) -> str:
    """Refuses to take another movement for it than the history shows. Raises: Refused."""
    try:
        shown = [report.venue_transfer_id for report in _movements(row, venue, now) if report.done]
    except _Silent as silence:
        return str(silence)
    if shown and terms.venue_transfer_id not in shown:
        raise Refused(f"the venue shows it as {', '.join(shown)}")
    return "the venue's history shows it" if shown else "the venue's history does not show it"


def not_arrived(row: FundsTransfer, terms: Terms, venue: Venue, now: datetime) -> str:
    """Refuses to write off a transfer that the history shows as done or under way. Raises: Refused."""
    try:
        _refuse_known(_movements(row, venue, now))
    except _Silent as silence:
        return str(silence)
    return "the venue's history does not show it"


def _refuse_known(reports: list[TransferReport]) -> None:
    for report in reports:
        if report.done:
            raise Refused(f"the venue shows it as {report.venue_transfer_id}: have it looked for again")
        if report.state == "pending":
            raise Refused(f"the venue shows {report.venue_transfer_id} as pending")


def _order(row: Conversion, venue: Venue, now: datetime) -> OrderReport | None:
    """Raises: _Silent."""
    attempt = _begin(row, Attempt.Call.ASK, {"client_order_id": row.client_order_id}, venue, now)
    try:
        report = venue.find(underlying=row.underlying, client_order_id=row.client_order_id)
    except VenueError as error:
        failures.take(attempt, error, now=now)
        raise _Silent(f"the venue did not answer: {error}") from error
    if report is None:
        state_history.end_attempt(
            attempt, outcome=Outcome.UNKNOWN, code="OrderNotFound", answer="no such order", at=now
        )
    else:
        outcome = Outcome.DONE if report.final else Outcome.UNKNOWN
        state_history.end_attempt(attempt, outcome=outcome, code="", answer=report.raw, at=now)
    return report


def _movements(row: FundsTransfer, venue: Venue, now: datetime) -> list[TransferReport]:
    """Raises: _Silent."""
    request = {"asset": row.asset, "since": row.submitted_at}
    attempt = _begin(row, Attempt.Call.ASK_TRANSFER, request, venue, now)
    try:
        reports = fitting(row, venue)
    except VenueError as error:
        failures.take(attempt, error, now=now)
        raise _Silent(f"the venue did not answer: {error}") from error
    answer = ", ".join(f"{report.venue_transfer_id} {report.state}" for report in reports)
    state_history.end_attempt(attempt, outcome=Outcome.UNKNOWN, code="", answer=answer, at=now)
    return reports


def _begin(
    row: Conversion | FundsTransfer, call: Attempt.Call, request: dict[str, Any], venue: Venue, now: datetime
) -> Attempt:
    if not halts.may_be_asked(venue.name):
        raise _Silent(NOT_ASKED)
    try:
        venue_account.require(venue, now=now)
    except VenueError as error:
        raise _Silent(f"the venue cannot be believed: {error}") from error
    return state_history.begin_attempt(row, call, request, at=now)


def _as_hand_trade(trade: Trade) -> HandTrade:
    return HandTrade(
        venue_trade_id=trade.venue_trade_id,
        price=trade.price,
        coin=trade.coin,
        usdt=trade.usdt,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        traded_at=trade.traded_at,
    )


def _compared(trade: HandTrade) -> tuple[object, ...]:
    """What the audit will hold a fill against."""
    return trade.venue_trade_id, trade.price, trade.coin, trade.usdt, trade.fee, trade.fee_asset
