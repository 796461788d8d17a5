"""The symbol filters: which price, quantity and value an order may have.

They are checked before anything is locked or matched, so a refused order leaves no trace.
Source: Binance Spot API documentation, "Filters".
"""

from __future__ import annotations

from decimal import Decimal

from tools.paper_venue.amounts import is_multiple
from tools.paper_venue.errors import FilterFailure, TooMuchPrecision
from tools.paper_venue.symbols import MAX_OPEN_ORDERS, Symbol

ASSET_DECIMALS = 8


def check_precision(*, name: str, amount: Decimal) -> None:
    """Raises: TooMuchPrecision if the amount has more decimals than any asset."""
    exponent = amount.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > ASSET_DECIMALS:
        raise TooMuchPrecision(name)


def check_price(*, symbol: Symbol, price: Decimal, average_price: Decimal) -> None:
    """Raises: FilterFailure (PRICE_FILTER, PERCENT_PRICE_BY_SIDE)."""
    if not symbol.tick <= price <= symbol.max_price or not is_multiple(price, step=symbol.tick):
        raise FilterFailure("PRICE_FILTER")
    lowest, highest = average_price * symbol.multiplier_down, average_price * symbol.multiplier_up
    if not lowest <= price <= highest:
        raise FilterFailure("PERCENT_PRICE_BY_SIDE")


def check_quantity(*, symbol: Symbol, is_market: bool, quantity: Decimal) -> None:
    """Raises: FilterFailure (LOT_SIZE, MARKET_LOT_SIZE)."""
    if not symbol.step <= quantity <= symbol.max_quantity or not is_multiple(quantity, step=symbol.step):
        raise FilterFailure("LOT_SIZE")
    if is_market and quantity > symbol.market_max_quantity:
        raise FilterFailure("MARKET_LOT_SIZE")


def check_notional(*, symbol: Symbol, is_market: bool, notional: Decimal) -> None:
    """``notional`` is price times quantity; for a market order, at the average price.

    Raises: FilterFailure (NOTIONAL).
    """
    if notional < symbol.min_notional:
        raise FilterFailure("NOTIONAL")
    if not is_market and notional > symbol.max_notional:
        raise FilterFailure("NOTIONAL")


def check_open_orders(*, count: int) -> None:
    """Raises: FilterFailure (MAX_NUM_ORDERS) if one more resting order would be too many."""
    if count >= MAX_OPEN_ORDERS:
        raise FilterFailure("MAX_NUM_ORDERS")
