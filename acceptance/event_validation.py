"""Which events the desk can settle: every field fits its column, and every amount is plausible.

Guards the batch: an event that passes is never refused by the database, so one bad event cannot stop the others.
"""

from decimal import Decimal

from django.conf import settings
from django.db.models import DecimalField

from acceptance.models import AcceptedOrder
from counter.contracts import VERSION, SyncEvent

MAX_INTEGER = 2**31 - 1
MAX_BIGINT = 2**63 - 1
YEARS = range(2000, 3000)  # a moment near the ends of the calendar leaves them in another time zone
MAX_SOURCE = MAX_SYMBOL = 32


def _column(name: str) -> tuple[Decimal, Decimal]:
    """The least unit of an amount's column, and the amount that is too large for it."""
    column = AcceptedOrder._meta.get_field(name)
    assert isinstance(column, DecimalField)  # noqa: S101 - the fields asked for are amounts
    places = column.decimal_places
    return Decimal(1).scaleb(-places), Decimal(10) ** (column.max_digits - places)


_COLUMNS = {name: _column(name) for name in ("coin", "index_price", "fair")}


def can_be_settled(event: SyncEvent) -> bool:
    """Whether the event is of our version and counter, of a coin we trade, and storable without loss."""
    return (
        event.version == VERSION
        and event.source == settings.COUNTER_SOURCE
        and event.underlying in settings.COINS
        and 0 < event.order_id <= MAX_BIGINT
        and 0 < event.contracts <= MAX_INTEGER
        and 0 < len(event.symbol) <= MAX_SYMBOL
        and event.symbol == storable_text(event.symbol)
        and _fits("coin", event.coin)
        and event.coin > 0
        and _fits("index_price", event.index_price)
        and event.index_price > 0
        and _fits("fair", event.fair)
        and event.fair >= 0
        and event.placed_at.tzinfo is not None
        and event.placed_at.year in YEARS
    )


def storable_text(text: str) -> str:
    """The text without what PostgreSQL cannot hold."""
    return text.replace("\x00", "\ufffd")


def _fits(name: str, amount: Decimal) -> bool:
    """Whether the column holds the amount to the last digit."""
    unit, bound = _COLUMNS[name]
    if amount.same_quantum(
        unit
    ):  # counter's own amounts have the column's scale: nothing else is to be looked at
        return -bound < amount < bound
    if not amount.is_finite() or not -bound < amount < bound:
        return False
    _, digits, exponent = amount.as_tuple()
    too_fine = unit.adjusted() - int(exponent)
    return too_fine <= 0 or not any(digits[-too_fine:])
