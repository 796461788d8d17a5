"""Texts for customers: the meaning of codes, states and refusals, and the next step."""

from collections.abc import Iterable
from datetime import timedelta
from enum import Enum

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from counter.circuit_breaker import Reason, State
from counter.market.closing import NoPrice
from counter.models import Position
from counter.orders.requests import RejectCode
from counter.trading.status import Trading
from trade import numbers
from trade.localized_numbers import written

Text = str | Promise
Told = tuple[Text, Text]  # what has happened, and what to do about it


class Prices(Enum):
    """Of what age the newest prices are: of now, too old to buy at, too old to close at."""

    FRESH = "fresh"
    OLD = "old"
    GONE = "gone"


# Why there is no price to close at: said alike in the list of positions and on a ticket.
EXPIRED = _("expired; it is settled at the average index")
CLOSES_STOPPED = _("closing has been stopped for the moment")
NO_BID = _("nobody bids for it now")
TOO_OLD = _("the last price is too old to close on")
TOO_LARGE = _("too large to be priced")
NO_PRICES: dict[NoPrice, Text] = {
    NoPrice.EXPIRED: EXPIRED,
    NoPrice.CLOSES_STOPPED: CLOSES_STOPPED,
    NoPrice.NO_BID: NO_BID,
    NoPrice.TOO_OLD: TOO_OLD,
    NoPrice.TOO_LARGE: TOO_LARGE,
}

REASONS: dict[str, Text] = {
    Reason.QUOTES_STALE: _("no new prices are coming in"),
    Reason.VENUE_HALTED: _("the market where we trade takes no orders"),
    Reason.EXPOSURE: _("more has been traded here than could be covered in the market so far"),
    Reason.BOOK_DELTA: _("as much of this coin has been sold as the limits allow"),
    Reason.BOOK_VEGA: _("as much of this coin has been sold as the limits allow"),
    Reason.UNKNOWN_OUTCOME: _("the outcome of a trade in the market is being clarified"),
    Reason.UNSETTLED: _("earlier orders are still in progress"),
    Reason.DESK_SILENT: _("orders are not being processed"),
    Reason.INDEX_LEAP: _("the price has leapt, and the new level is being confirmed"),
    Reason.REOPENING: _("the cause is gone, and trading opens again in a moment"),
    Reason.UNWATCHED: _("the market is not being watched"),
    Reason.TRADING_STOPPED: _("trading has been stopped by hand"),
}
# What has happened, and what to do about it.
REFUSALS: dict[str, tuple[Text, Text]] = {
    RejectCode.ACCOUNT_NOT_FOUND: (_("You have no account here."), _("Ask the exchange to open one.")),
    RejectCode.OPTION_NOT_FOUND: (_("There is no such option any more."), _("Choose one from the list.")),
    RejectCode.OPTION_HALTED: (
        _("Nobody can buy this option at the moment."),
        _("Choose another one, or come back later. What you hold can still be closed."),
    ),
    RejectCode.OPTION_EXPIRED: (_("This option has expired."), _("Choose one with a later expiry.")),
    RejectCode.OPENS_ENDED: (
        _("This option expires too soon to be bought."),
        _("Choose one with a later expiry. What you hold can still be closed."),
    ),
    RejectCode.COIN_HALTED: (
        _("Nobody can buy options of this coin at the moment."),
        _("The notice above the prices says why. What you hold can still be closed."),
    ),
    RejectCode.TRADING_STOPPED: (
        _("Trading in this coin has been stopped by hand."),
        _("Nothing was done with your order. Come back later: what you hold stays yours."),
    ),
    RejectCode.DESK_BEHIND: (
        _("More is bought and sold of this coin at the moment than can be covered in the market."),
        _("Nothing was done with your order. Try again in a moment."),
    ),
    RejectCode.QUOTE_MISSING: (
        _("There is no price for this at the moment."),
        _("Wait until one is shown, or choose another option."),
    ),
    RejectCode.QUOTE_STALE: (
        _("The last price is too old to trade on."),
        _("Wait a moment and ask for a price again."),
    ),
    RejectCode.PRICE_MOVED: (_("The price has moved too far."), _("Ask for a new price.")),
    RejectCode.AMOUNT_TOO_SMALL: (_("This is worth less than 0.000001 USDT."), _("Choose more contracts.")),
    RejectCode.AMOUNT_TOO_LARGE: (
        _("This is more than can be traded at once."),
        _("Choose fewer contracts."),
    ),
    RejectCode.INSUFFICIENT_BALANCE: (
        _("This costs more than your balance."),
        _("Choose fewer contracts, or deposit USDT."),
    ),
    RejectCode.POSITION_NOT_FOUND: (
        _("You hold no such position."),
        _("Look at the list of your positions."),
    ),
    RejectCode.POSITION_TOO_SMALL: (
        _("Fewer contracts than that are left in this position."),
        _("Choose fewer. Another order of yours may have closed some."),
    ),
    RejectCode.CLIENT_ORDER_ID_REUSED: (
        _("This ticket was already used for another order."),
        _("Look at your orders below; for a further one open a new ticket."),
    ),
    RejectCode.QUOTE_NOT_FOUND: (_("This firm price is not there any more."), _("Ask for a new price.")),
    RejectCode.QUOTE_EXPIRED: (
        _("The firm price had expired when the order arrived. Nothing was bought or closed."),
        _("Ask for a new price."),
    ),
    RejectCode.QUOTE_USED: (
        _("This firm price was already used for an order."),
        _("Look at your orders below."),
    ),
    RejectCode.QUOTE_MISMATCH: (_("This firm price is for something else."), _("Ask for a new price.")),
    RejectCode.TOO_MANY_ORDERS: (
        _("Orders of yours come faster than you may place them. Nothing was done with this one."),
        _("Wait a second and send it again."),
    ),
    RejectCode.CONTRACTS_LIMIT: (
        _("With these you would hold more contracts than you may."),
        _("Choose fewer contracts, or close some that you hold."),
    ),
    RejectCode.NOTIONAL_LIMIT: (
        _("With these you would have more USDT in open positions than you may."),
        _("Choose fewer contracts, or close some that you hold."),
    ),
    RejectCode.SERIES_LIMIT: (
        _("No more of this option is sold at the moment."),
        _("Choose fewer contracts or another option."),
    ),
    RejectCode.PAYOUT_AT_FILL_ONLY: (
        _("Positions are not paid at once at the moment."),
        _("Close at the market price: it is paid as soon as it has been sold."),
    ),
    RejectCode.TOO_MANY_QUOTES: (
        _("You hold as many firm prices as you may."),
        _("Wait a few seconds and ask again."),
    ),
}
ORDER_KINDS = {"OPEN": _("buy"), "CLOSE": _("close"), "EXERCISE": _("payout at expiry")}
ORDER_STATES = {
    "PENDING": (_("accepted"), _("yours, and final")),
    "SYNCED": (_("in progress"), _("yours, and final; it is being traded in the market")),
    "SETTLED": (_("done"), _("traded in the market and booked")),
}
POSITION_STATES = {
    "OPEN": _("open"),
    "CLOSING": _("closing: you are paid when it has been sold in the market"),
    "CLOSED": _("closed"),
    "EXERCISED": _("expired with a value, which was paid out"),
    "EXPIRED": _("expired without a value"),
}
LEDGER_KINDS = {
    "deposit": _("deposit"),
    "withdrawal": _("withdrawal"),
    "withdrawal_released": _("withdrawal that came back"),
    "open": _("option bought"),
    "spread": _("fee"),
    "close": _("option closed"),
    "exercise": _("option paid at expiry"),
    "payout": _("option closed at the market price"),
}

NEITHER = _("%(coin)s options can neither be bought nor closed at the moment%(because)s.")
NEITHER_FOR_NOW = _(
    "%(coin)s options can neither be bought nor closed at the moment%(because)s. "
    "What you hold stays yours, and can be closed as soon as prices come in again."
)
CLOSE_FOR_LESS = _(
    "Nobody can buy %(coin)s options at the moment%(because)s. What you hold can still be closed, "
    "for less with every second until new prices come in."
)
CLOSE_ONLY = _("Nobody can buy %(coin)s options at the moment%(because)s. What you hold can still be closed.")
DEARER = _("%(coin)s options cost more, and bring less, than usual%(because)s.")


def reasons(codes: Iterable[str]) -> str:
    """Why a coin is not traded as usual, as the end of a sentence."""
    told = [str(REASONS.get(code, code.replace("_", " "))) for code in codes]
    return gettext(", and ").join(told)


def notice(coin: str, trading: Trading, *, prices: Prices = Prices.FRESH, seconds: int = 0) -> str:
    """What a customer has to know of how a coin is traded; empty when it is as usual.

    `seconds` is the age of its newest price, which counts where `prices` are not fresh.
    """
    stale = prices is not Prices.FRESH
    causes = [reasons([code]) for code in trading.reasons if not (stale and code == Reason.QUOTES_STALE)]
    if stale:
        causes.insert(0, gettext("the last prices are %(age)s old") % {"age": duration(seconds)})
    because = f": {gettext(', and ').join(causes)}" if causes else ""
    for text, holds in (
        (NEITHER, not trading.takes_closes),
        (NEITHER_FOR_NOW, prices is Prices.GONE),
        (CLOSE_FOR_LESS, prices is Prices.OLD),
        (CLOSE_ONLY, trading.state is State.HALTED),
        (DEARER, trading.state is State.WIDE),
    ):
        if holds:
            return str(text) % {"coin": coin, "because": because}
    return ""


def duration(seconds: int) -> str:
    """A length of time in its largest whole unit: 40 seconds, 5 minutes, 2 days."""
    if seconds >= 2 * 86_400:
        return gettext("%(n)s days") % {"n": seconds // 86_400}
    if seconds >= 2 * 3_600:
        return gettext("%(n)s hours") % {"n": seconds // 3_600}
    if seconds >= 2 * 60:
        return gettext("%(n)s minutes") % {"n": seconds // 60}
    return ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds}


def until(left: timedelta) -> str:
    """In how long something happens: in 3 days 4 h, in 8 h 12 min, in 40 s."""
    seconds = max(0, int(left.total_seconds()))
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return ngettext("in %(n)s day %(hours)s h", "in %(n)s days %(hours)s h", days) % {
            "n": days,
            "hours": hours,
        }
    if hours:
        return gettext("in %(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}
    if minutes:
        return gettext("in %(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": seconds % 60}
    return gettext("in %(seconds)s s") % {"seconds": seconds}


def position_state(position: Position) -> str:
    """How a position stands, with the index that an option ended at."""
    told, index = POSITION_STATES[position.state], position.option.settlement_index
    ended = position.state in (Position.State.EXERCISED, Position.State.EXPIRED)
    if not ended or index is None:
        return str(told)
    return gettext("%(state)s, at %(index)s") % {"state": told, "index": written(numbers.level(index))}


def refusal(code: str, message: str) -> Told:
    """What has happened and what to do; for a code without words here, what programs are told."""
    return REFUSALS.get(code, (f"{message[:1].upper()}{message[1:]}.", _("Change the order and try again.")))
