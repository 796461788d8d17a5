"""What a page's address and forms ask for; what makes no sense counts as not given."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec

from counter.api.fields import ClientOrderId, Symbol

MAX_CONTRACTS = 1_000_000  # as the API takes
MAX_ID = 2**63 - 1


def day(given: Mapping[str, str], name: str) -> date | None:
    """A date as 2026-12-25."""
    try:
        return date.fromisoformat(given.get(name, ""))
    except ValueError:
        return None


def whole(given: Mapping[str, str], name: str, *, most: int = MAX_ID) -> int | None:
    """A whole number from 1 to `most`."""
    text = given.get(name, "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    number = int(text)
    return number if 1 <= number <= most else None


def symbol(given: Mapping[str, str]) -> str | None:
    """An option's name."""
    return _text(given, "symbol", Symbol)


def client_order_id(given: Mapping[str, str]) -> str | None:
    """A customer's own name of an order, as the API takes it: none that orders of ours have, as `exercise/17`."""
    return _text(given, "client_order_id", ClientOrderId)


def _text(given: Mapping[str, str], name: str, kind: Any) -> str | None:
    try:
        text: str = msgspec.convert(given.get(name), kind)
    except msgspec.ValidationError:
        return None
    return text
