"""Matching against a book: best price first, never past the limit, never more than asked."""

from decimal import Decimal

import pytest

from tools.paper_venue.matching import Level, Match, match_quantity, match_quote
from tools.paper_venue.records import Side

ASKS = [Level(Decimal(100), Decimal(1)), Level(Decimal(101), Decimal(2)), Level(Decimal(103), Decimal(4))]
BIDS = [Level(Decimal(99), Decimal(1)), Level(Decimal(98), Decimal(2))]


def test_a_buy_takes_the_cheapest_levels_first():
    fills = match_quantity(side=Side.BUY, quantity=Decimal("2.5"), limit=None, levels=ASKS)
    assert fills == [Match(Decimal(100), Decimal(1)), Match(Decimal(101), Decimal("1.5"))]


@pytest.mark.parametrize(
    ("side", "limit", "levels", "expected"),
    [
        (Side.BUY, "101", ASKS, "3"),
        (Side.BUY, "100.99", ASKS, "1"),
        (Side.BUY, "99.99", ASKS, "0"),
        (Side.SELL, "98", BIDS, "3"),
        (Side.SELL, "98.01", BIDS, "1"),
        (Side.SELL, "99.01", BIDS, "0"),
    ],
)
def test_no_fill_is_past_the_limit(side, limit, levels, expected):
    fills = match_quantity(side=side, quantity=Decimal(50), limit=Decimal(limit), levels=levels)
    assert sum(fill.quantity for fill in fills) == Decimal(expected)


def test_quote_buys_whole_steps_and_is_complete_when_no_further_step_is_affordable():
    fills, is_complete = match_quote(quote_quantity=Decimal("200.5"), step=Decimal("0.1"), levels=ASKS)
    assert fills == [Match(Decimal(100), Decimal(1)), Match(Decimal(101), Decimal("0.9"))]
    assert is_complete


def test_quote_larger_than_the_book_is_incomplete():
    fills, is_complete = match_quote(quote_quantity=Decimal(100_000), step=Decimal("0.1"), levels=ASKS)
    assert sum(fill.quantity for fill in fills) == 7
    assert not is_complete
