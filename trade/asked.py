"""What a page's address and forms ask for; what makes no sense counts as not given."""

from collections.abc import Mapping
from datetime import date

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
