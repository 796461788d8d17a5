"""What every price source gives: the best bid and ask, and the trades printed since it was last asked."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol


class Quote(NamedTuple):
    """Best bid and ask; quantities only where a recording knows them."""

    bid: Decimal
    ask: Decimal
    bid_quantity: Decimal | None = None
    ask_quantity: Decimal | None = None

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


class Print(NamedTuple):
    """A public trade; ``is_buyer_maker`` says that the taker sold."""

    price: Decimal
    quantity: Decimal
    is_buyer_maker: bool
    at_ms: int


class PriceSource(Protocol):
    """A moving price. ``quote`` is that of the last ``advance``."""

    quote: Quote

    def advance(self, *, now_ms: int) -> list[Print]:
        """Move on to ``now_ms`` (never backwards) and return what was traded meanwhile, oldest first."""
        ...
