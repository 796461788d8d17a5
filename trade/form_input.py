"""Input from forms and addresses of pages; invalid values count as not given."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from counter.api.fields import ClientOrderId, Symbol
from counter.public_ids import NOBODYS, Kind, NoPublicId, row_id
from ledger.decimals import is_multiple

MAX_CONTRACTS = 1_000_000  # as the API takes
MICRO = Decimal("0.000001")
MAX_DIGITS = 14  # before the point, as the API takes
MAX_PAGE = 100_000


def day(given: Mapping[str, str], name: str) -> date | None:
    """A date as 2026-12-25."""
    try:
        return date.fromisoformat(given.get(name, ""))
    except ValueError:
        return None


def whole(given: Mapping[str, str], name: str, *, most: int) -> int | None:
    """A whole number from 1 to `most`."""
    text = given.get(name, "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    asked = int(text)
    return asked if 1 <= asked <= most else None


def row(given: Mapping[str, str], name: str, kind: Kind) -> int | None:
    """The row of a public id."""
    return row_named(given.get(name, ""), kind)


def row_named(text: str, kind: Kind) -> int | None:
    """The row of the public id that a text is."""
    try:
        found = row_id(kind, text.strip())
    except NoPublicId:
        return None
    return None if found == NOBODYS else found


def usdt(given: Mapping[str, str], name: str) -> Decimal | None:
    """A positive amount of USDT with at most six decimals, as 1234.5, and no more than an order may name."""
    text = given.get(name, "").strip()
    if not (
        text.isascii()
        and len(text) < 22
        and len(text.partition(".")[0]) <= MAX_DIGITS
        and text.replace(".", "", 1).isdecimal()
    ):
        return None
    amount = Decimal(text)
    return amount if amount > 0 and is_multiple(amount, MICRO) else None


def symbol(given: Mapping[str, str]) -> str | None:
    """An option's name."""
    return _text(given, "symbol", Symbol)


def opened(given: Mapping[str, str]) -> str | None:
    """The option whose positions are to be shown, by name."""
    return _text(given, "opened", Symbol)


def closing(given: Mapping[str, str]) -> str | None:
    """The option of which all positions are to be closed, by name."""
    return _text(given, "closing", Symbol)


def client_order_id(given: Mapping[str, str]) -> str | None:
    """A customer's own name of an order, as the API takes it: none that exercises have, `exercise/` and an id."""
    return _text(given, "client_order_id", ClientOrderId)


def _text(given: Mapping[str, str], name: str, kind: Any) -> str | None:
    try:
        text: str = msgspec.convert(given.get(name), kind)
    except msgspec.ValidationError:
        return None
    return text
