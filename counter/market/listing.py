"""Which options are offered: expiries by the calendar, strikes around the index, or a recorded chain's own.

The rule is pure: the same index and time always list the same options, so that listing again adds nothing.
"""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import get_args

from counter.market.chain import ChainRow
from counter.market.symbols import EXPIRY_TIME, format_symbol
from counter.pricing.formulas import OptionKind

MULTIPLIERS = {"BTC": Decimal("0.01"), "ETH": Decimal("0.1")}

DAILIES = 2
WEEKLIES = 3
MONTH_ENDS = 2
STRIKES_EACH_SIDE = 6

_KINDS: tuple[OptionKind, ...] = get_args(OptionKind)
_NICE_STEPS = (5, 2, 1)
_STEP_SHARE = Fraction(1, 50)  # a strike step is at most 2 % of the index


class ListingInvalid(ValueError):
    """Nothing can be listed for these inputs."""

    code = "listing_invalid"


@dataclass(frozen=True, slots=True)
class Listing:
    """One option to offer: `strike` in USD, `multiplier` in coin per contract."""

    symbol: str
    underlying: str
    kind: OptionKind
    strike: Decimal
    expiry_at: datetime
    multiplier: Decimal


def listings(
    *, underlying: str, index: Decimal, now: datetime, strikes_each_side: int = STRIKES_EACH_SIDE
) -> list[Listing]:
    """Return calls and puts for every expiry and strike, ordered by expiry and strike.

    Raises: ListingInvalid.
    """
    return [
        _listing(underlying, kind, strike, expiry_at)
        for expiry_at in expiries(now=now)
        for strike in strikes(index=index, each_side=strikes_each_side)
        for kind in _KINDS
    ]


def chain_listings(rows: Iterable[ChainRow]) -> list[Listing]:
    """Return the options of a recorded chain.

    Raises: ListingInvalid.
    """
    return [_listing(row.underlying, row.kind, row.strike, row.expiry_at) for row in rows]


def expiries(
    *, now: datetime, dailies: int = DAILIES, weeklies: int = WEEKLIES, month_ends: int = MONTH_ENDS
) -> list[datetime]:
    """Return the coming expiries after `now`: days, Fridays and last Fridays of a month, at 08:00 UTC."""
    first = now.astimezone(EXPIRY_TIME.tzinfo).date()
    if datetime.combine(first, EXPIRY_TIME) <= now:
        first += timedelta(days=1)
    days = {first + timedelta(days=ahead) for ahead in range(dailies)}
    friday = first + timedelta(days=(calendar.FRIDAY - first.weekday()) % 7)
    days.update(friday + timedelta(weeks=ahead) for ahead in range(weeklies))
    days.update(_month_ends(first, month_ends))
    return [datetime.combine(day, EXPIRY_TIME) for day in sorted(days)]


def strikes(*, index: Decimal, each_side: int = STRIKES_EACH_SIDE) -> list[Decimal]:
    """Return the strike nearest to the index and `each_side` more below and above it, all positive.

    The step is the largest of 1, 2, 5, 10, 20, 50 ... that is no more than 2 % of the index.

    Raises: ListingInvalid.
    """
    if not index.is_finite() or index < 1:
        raise ListingInvalid(f"strikes are whole USD around an index of at least 1, got {index}")
    step = _strike_step(index)
    middle = round(Fraction(index) / step)
    return [Decimal(step * at) for at in range(middle - each_side, middle + each_side + 1) if at > 0]


def _listing(underlying: str, kind: OptionKind, strike: Decimal, expiry_at: datetime) -> Listing:
    if underlying not in MULTIPLIERS:
        raise ListingInvalid(f"options on {underlying} are not offered, only on {', '.join(MULTIPLIERS)}")
    return Listing(
        symbol=format_symbol(underlying=underlying, expiry_at=expiry_at, strike=strike, kind=kind),
        underlying=underlying,
        kind=kind,
        strike=strike,
        expiry_at=expiry_at,
        multiplier=MULTIPLIERS[underlying],
    )


def _strike_step(index: Decimal) -> int:
    limit = int(Fraction(index) * _STEP_SHARE)
    if limit < 1:
        return 1
    magnitude = int("1" + "0" * (len(str(limit)) - 1))
    return next(nice * magnitude for nice in _NICE_STEPS if nice * magnitude <= limit)


def _month_ends(first: date, count: int) -> list[date]:
    found: list[date] = []
    year, month = first.year, first.month
    while len(found) < count:
        last = date(year, month, calendar.monthrange(year, month)[1])
        friday = last - timedelta(days=(last.weekday() - calendar.FRIDAY) % 7)
        if friday >= first:
            found.append(friday)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return found
