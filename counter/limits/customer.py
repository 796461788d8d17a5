"""The limits of one customer as orders are decided on. Pure."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class CustomerLimits:
    """What a customer may have open, in contracts and in USDT of their cost, and how many orders a second are taken.

    So many orders as come in `burst_seconds` may come at once, if none came before.
    """

    contracts: int
    notional: Decimal
    orders_per_s: int
    burst_seconds: int
