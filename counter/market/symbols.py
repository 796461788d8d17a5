"""Option symbols such as `BTC-27NOV26-90000-C`: one text for one option, both ways.

The form is Deribit's: underlying, expiry day without a leading zero, strike in whole USD, C or P; every
option expires at 08:00 UTC. Parsing is strict, so that two symbols never mean the same option.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import cast

from counter.pricing.formulas import OptionKind

EXPIRY_TIME = time(8, tzinfo=UTC)

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FORM = re.compile(
    r"(?P<underlying>[A-Z]{2,10})-(?P<day>[1-9]|[12][0-9]|3[01])(?P<month>[A-Z]{3})(?P<year>[0-9]{2})"
    r"-(?P<strike>[1-9][0-9]{0,11})-(?P<kind>[CP])"
)
_UNDERLYING = re.compile(r"[A-Z]{2,10}")
_LARGEST_STRIKE = Decimal(10) ** 12 - 1


class SymbolInvalid(ValueError):
    """The text is no option symbol, or the terms have none."""

    code = "symbol_invalid"


@dataclass(frozen=True, slots=True, order=True)
class OptionTerms:
    """What a symbol says: `strike` in whole USD, `expiry_at` at 08:00 UTC."""

    underlying: str
    expiry_at: datetime
    strike: Decimal
    kind: OptionKind


def format_symbol(*, underlying: str, expiry_at: datetime, strike: Decimal, kind: OptionKind) -> str:
    """Return the one symbol of an option.

    Raises: SymbolInvalid.
    """
    if not _UNDERLYING.fullmatch(underlying):
        raise SymbolInvalid(f"underlying must be 2 to 10 capital letters, got {underlying!r}")
    if kind not in ("C", "P"):
        raise SymbolInvalid(f"kind must be 'C' or 'P', got {kind!r}")
    if expiry_at.tzinfo is None or expiry_at.astimezone(UTC).timetz() != EXPIRY_TIME:
        raise SymbolInvalid(f"an option expires at 08:00 UTC, not at {expiry_at.isoformat()}")
    if not strike.is_finite() or not 1 <= strike <= _LARGEST_STRIKE or strike != int(strike):
        raise SymbolInvalid(f"strike must be a whole number of USD from 1 to {_LARGEST_STRIKE}, got {strike}")
    day = expiry_at.astimezone(UTC).date()
    if not 2000 <= day.year <= 2099:
        raise SymbolInvalid(f"a symbol's year has two digits and means 2000 to 2099, got {day.year}")
    return f"{underlying}-{day.day}{_MONTHS[day.month - 1]}{day.year % 100:02d}-{int(strike)}-{kind}"


def parse_symbol(symbol: str) -> OptionTerms:
    """Return the terms of an option symbol; `format_symbol` of them is the same text again.

    Raises: SymbolInvalid.
    """
    match = _FORM.fullmatch(symbol)
    if match is None or match["month"] not in _MONTHS:
        raise SymbolInvalid(f"{symbol!r} is no option symbol such as BTC-27NOV26-90000-C")
    month = _MONTHS.index(match["month"]) + 1
    try:
        day = datetime(2000 + int(match["year"]), month, int(match["day"]), tzinfo=UTC).date()
    except ValueError as error:
        raise SymbolInvalid(f"{symbol!r} names a day that does not exist") from error
    return OptionTerms(
        underlying=match["underlying"],
        expiry_at=datetime.combine(day, EXPIRY_TIME),
        strike=Decimal(match["strike"]),
        kind=cast(OptionKind, match["kind"]),
    )
