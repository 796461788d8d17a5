"""Matching one incoming order against the levels of a book: pure arithmetic.

A fill is never at a price worse than the order's limit, and the fills never add up to more than was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from tools.paper_venue.amounts import round_down
from tools.paper_venue.records import Side


class Level(NamedTuple):
    """What the book offers at one price."""

    price: Decimal
    quantity: Decimal


class Match(NamedTuple):
    price: Decimal
    quantity: Decimal


def crosses(*, side: Side, limit: Decimal, price: Decimal) -> bool:
    """Whether an order of ``side`` with this limit may trade at ``price``."""
    return price <= limit if side is Side.BUY else price >= limit


def match_quantity(
    *, side: Side, quantity: Decimal, limit: Decimal | None, levels: Iterable[Level]
) -> list[Match]:
    """The fills of an order for ``quantity`` base; ``levels`` are the opposite side, best first."""
    fills: list[Match] = []
    remaining = quantity
    for level in levels:
        if remaining <= 0 or (limit is not None and not crosses(side=side, limit=limit, price=level.price)):
            break
        taken = min(remaining, level.quantity)
        if taken > 0:
            fills.append(Match(level.price, taken))
            remaining -= taken
    return fills


def in_pieces(fills: Iterable[Match], *, pieces: int, step: Decimal) -> list[Match]:
    """The same fills, each cut into about so many of whole steps."""
    cut: list[Match] = []
    for fill in fills:
        size, rest = max(step, round_down(fill.quantity / pieces, step=step)), fill.quantity
        while rest > 0:
            cut.append(Match(fill.price, min(size, rest)))
            rest -= size
    return cut


def match_quote(
    *, quote_quantity: Decimal, step: Decimal, levels: Iterable[Level]
) -> tuple[list[Match], bool]:
    """The fills of a market order for ``quote_quantity`` of quote, in whole steps of base.

    Returns the fills and whether the order is complete: true once what is left buys no further step.
    """
    fills: list[Match] = []
    remaining = quote_quantity
    for level in levels:
        affordable = round_down(remaining / level.price, step=step)
        taken = min(affordable, level.quantity)
        if taken > 0:
            fills.append(Match(level.price, taken))
            remaining -= taken * level.price
        if affordable <= level.quantity:
            return fills, True
    return fills, False
