"""Greeks of stored quotes: what the model says of an option at the index, forward and volatility that it is quoted at.

Floats, as in `counter.pricing.greeks`: how they are shown is the reader's choice, and no amount is booked from them.
"""

from collections.abc import Iterable
from datetime import datetime

from counter.expiring.index_average import WINDOW, AverageSoFar
from counter.expiring.index_record import averages_so_far
from counter.market.model_quotes import averaging_at
from counter.models import Quote
from counter.pricing.black76 import ModelInputInvalid
from counter.pricing.greeks import Greeks, greeks

Window = tuple[str, datetime]  # of a coin, before this moment of expiry


def greeks_by_option(quotes: Iterable[Quote], *, now: datetime) -> dict[int, Greeks]:
    """Greeks per coin of the options of these quotes, each with its option, by the option's id.

    An option is not in it that has expired, or whose settlement index a person will have to enter. One statement for
    each moment of expiry whose window has begun, else none.
    """
    found = list(quotes)
    averages = averages_begun(((each.option.underlying, each.option.expires_at) for each in found), now=now)
    known = {}
    for quote in found:
        option = quote.option
        try:
            known[option.pk] = greeks(
                kind=option.kind,  # type: ignore[arg-type]
                forward=float(quote.forward or quote.index_price),
                strike=float(option.strike),
                iv=float(quote.implied_volatility),
                averaging=averaging_at(
                    expires_at=option.expires_at,
                    now=now,
                    so_far=averages.get((option.underlying, option.expires_at)),
                ),
            )
        except ModelInputInvalid:
            continue
    return known


def averages_begun(windows: Iterable[Window], *, now: datetime) -> dict[Window, AverageSoFar]:
    """What is known of those averages whose window has begun and not ended; none that cannot be settled at."""
    coins: dict[datetime, set[str]] = {}
    for coin, expires_at in windows:
        if expires_at - WINDOW <= now < expires_at:
            coins.setdefault(expires_at, set()).add(coin)
    return {
        (coin, expires_at): average
        for expires_at, wanted in coins.items()
        for coin, average in averages_so_far(wanted, expires_at=expires_at, now=now).items()
        if average is not None
    }
