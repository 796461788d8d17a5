"""Ids as customers are told them, and the rows behind them."""

from collections.abc import Iterable

from counter.public_ids import Kind, public_id, row_of


def order_id(order: int) -> str:
    return public_id(Kind.ORDER, order)


def position_id(position: int) -> str:
    return public_id(Kind.POSITION, position)


def quote_id(quote: int) -> str:
    return public_id(Kind.FIRM_QUOTE, quote)


def row(told: str) -> int:
    """The row of an id of any kind; the test fails if it is none of ours."""
    found = row_of(told)
    assert found is not None, told
    return found[1]


def rows(told: Iterable[str]) -> list[int]:
    """The same of many, in their order."""
    return [row(each) for each in told]
