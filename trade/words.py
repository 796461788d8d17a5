"""What programs are told by codes, in words for people: what has happened, and what they can do."""

from collections.abc import Iterable

from counter.containment import Reason, State
from counter.models import Position
from counter.ordering.order_requests import RejectCode
from counter.trading.trading_status import Trading
from trade import numbers

REASONS: dict[str, str] = {
    Reason.QUOTES_STALE: "no new prices are coming in",
    Reason.VENUE_HALTED: "the trading venue takes no orders",
    Reason.EXPOSURE: "more has been traded here than could be hedged so far",
    Reason.UNKNOWN_OUTCOME: "the outcome of a trade at the venue is being clarified",
    Reason.UNSETTLED: "earlier orders are still being settled",
    Reason.DESK_SILENT: "the desk that settles orders does not answer",
    Reason.REOPENING: "the cause is gone, and trading opens again in a moment",
    Reason.UNWATCHED: "the market is not being watched",
    Reason.TRADING_STOPPED: "trading has been stopped by hand",
}
# What has happened, and what to do about it.
REFUSALS: dict[str, tuple[str, str]] = {
    RejectCode.ACCOUNT_NOT_FOUND: ("You have no account here.", "Ask the exchange to open one."),
    RejectCode.OPTION_NOT_FOUND: ("There is no such option any more.", "Choose one from the list."),
    RejectCode.OPTION_HALTED: (
        "Nobody can buy this option at the moment.",
        "Choose another one, or come back later. What you hold can still be closed.",
    ),
    RejectCode.OPTION_EXPIRED: ("This option has expired.", "Choose one with a later expiry."),
    RejectCode.COIN_HALTED: (
        "Nobody can buy options of this coin at the moment.",
        "The notice above the prices says why. What you hold can still be closed.",
    ),
    RejectCode.TRADING_STOPPED: (
        "Trading in this coin has been stopped by hand.",
        "Nothing was done with your order. Come back later: what you hold stays yours.",
    ),
    RejectCode.QUOTE_MISSING: (
        "There is no price for this at the moment.",
        "Wait until one is shown, or choose another option.",
    ),
    RejectCode.QUOTE_STALE: (
        "The last price is too old to trade on.",
        "Wait a moment and ask for a price again.",
    ),
    RejectCode.PRICE_MOVED: ("The price has moved past your limit.", "Ask for a new price."),
    RejectCode.AMOUNT_TOO_SMALL: ("This is worth less than 0.000001 USDT.", "Choose more contracts."),
    RejectCode.AMOUNT_TOO_LARGE: ("This is more than can be traded at once.", "Choose fewer contracts."),
    RejectCode.INSUFFICIENT_BALANCE: (
        "This costs more than your balance.",
        "Choose fewer contracts, or deposit USDT.",
    ),
    RejectCode.POSITION_NOT_FOUND: ("You hold no such position.", "Look at the list of your positions."),
    RejectCode.POSITION_TOO_SMALL: (
        "Fewer contracts than that are left in this position.",
        "Choose fewer. Another order of yours may have closed some.",
    ),
    RejectCode.CLIENT_ORDER_ID_REUSED: (
        "This ticket was already used for another order.",
        "Look at your orders below; for a further one open a new ticket.",
    ),
    RejectCode.QUOTE_NOT_FOUND: ("This firm price is not there any more.", "Ask for a new price."),
    RejectCode.QUOTE_EXPIRED: (
        "The firm price had expired when the order arrived. Nothing was bought or closed.",
        "Ask for a new price.",
    ),
    RejectCode.QUOTE_USED: ("This firm price was already used for an order.", "Look at your orders below."),
    RejectCode.QUOTE_MISMATCH: ("This firm price is for something else.", "Ask for a new price."),
    RejectCode.TOO_MANY_ORDERS: (
        "Orders of yours come faster than you may place them. Nothing was done with this one.",
        "Wait a second and send it again.",
    ),
    RejectCode.CONTRACTS_LIMIT: (
        "With these you would hold more contracts than you may.",
        "Choose fewer contracts, or close some that you hold.",
    ),
    RejectCode.NOTIONAL_LIMIT: (
        "With these you would have more USDT in open positions than you may.",
        "Choose fewer contracts, or close some that you hold.",
    ),
    RejectCode.SERIES_LIMIT: (
        "No more of this option is sold at the moment.",
        "Choose fewer contracts or another option.",
    ),
    RejectCode.PAYOUT_AT_FILL_ONLY: (
        "Positions are not paid at once at the moment.",
        "Close with the payout at fill: it is paid as soon as the trade is settled.",
    ),
    RejectCode.TOO_MANY_QUOTES: (
        "You hold as many firm prices as you may.",
        "Wait a few seconds and ask again.",
    ),
}
ORDER_KINDS = {"OPEN": "buy", "CLOSE": "close", "EXERCISE": "exercise"}
ORDER_STATES = {
    "PENDING": ("accepted", "yours for good; the desk is being told"),
    "SYNCED": ("with the desk", "the desk is trading it at the venue"),
    "SETTLED": ("settled", "traded at the venue and booked"),
}
POSITION_STATES = {
    "OPEN": "open",
    "CLOSING": "closing: the payout comes when the venue has traded",
    "CLOSED": "closed",
    "EXERCISED": "exercised: expired in the money and paid",
    "EXPIRED": "expired out of the money",
}
LEDGER_KINDS = {
    "deposit": "deposit",
    "withdrawal": "withdrawal",
    "withdrawal_released": "withdrawal that came back",
    "open": "option bought",
    "spread": "spread",
    "close": "option closed",
    "exercise": "option exercised",
    "payout": "payout at fill",
}


def reasons(codes: Iterable[str]) -> str:
    """Why a coin is not traded as usual, as the end of a sentence."""
    return ", and ".join(REASONS.get(code, code.replace("_", " ")) for code in codes)


def notice(coin: str, trading: Trading) -> str:
    """What a customer has to know of how a coin is traded; empty when it is as usual."""
    because = f": {told}" if (told := reasons(trading.reasons)) else ""
    if not trading.takes_closes:
        return f"{coin} options can neither be bought nor closed at the moment{because}."
    if trading.state is State.HALTED:
        return f"Nobody can buy {coin} options at the moment{because}. What you hold can still be closed."
    if trading.state is State.WIDE:
        return f"{coin} options cost more, and bring less, than usual{because}."
    return ""


def position_state(position: Position) -> str:
    """How a position stands, with the index that an option ended at."""
    told, index = POSITION_STATES[position.state], position.option.settlement_index
    ended = position.state in (Position.State.EXERCISED, Position.State.EXPIRED)
    return f"{told}, at {numbers.level(index)}" if ended and index is not None else told


def refusal(code: str, message: str) -> tuple[str, str]:
    """What has happened and what to do; for a code without words here, what programs are told."""
    return REFUSALS.get(code, (f"{message[:1].upper()}{message[1:]}.", "Change the order and try again."))
