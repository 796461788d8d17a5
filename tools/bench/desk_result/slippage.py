"""Slippage by cause: the arithmetic alone.

Of an order for `coin` (s = +1 where coin is bought for it, -1 where it is sold), priced at `index_price` and settled at
`price`, the desk gains in USDT, positive where it is better off:

    slippage     = s * coin * (index price - price)
                 = s * coin * (index price       - mid when placed)       the quote's age
                 + s * coin * (mid when placed   - mid when sent)         the wait for the round
                 + s * coin * (mid when sent     - mid when executed)     the price moved while it was sent
                 + s * coin * (mid when executed - price)                 spread and depth at the venue

`mid` is halfway between bid and ask. Beside it stand what each order would have come to at the touch of its own moment
(the limit of what any hedging can do), and as a venue order of its own that arrives one answer of the venue later, for
which each pays the fee that converted coin has cost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import median
from typing import Any

from tools.bench.desk_result.price_path import PricePath

ZERO = Decimal(0)
CAUSES = ("quote_age", "wait", "sending", "spread_and_depth")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """One order whose slippage is the desk's: its coin, prices in USDT, and the moments of its way to the venue."""

    underlying: str
    side: str  # buy or sell: what is done at the venue
    coin: Decimal
    index_price: Decimal
    price: Decimal
    fee: Decimal
    placed_at: datetime
    sent_at: datetime
    executed_at: datetime


@dataclass(kw_only=True)
class Result:
    """USDT gained, by cause and in other ways; `notional` is the coin at the orders' index prices."""

    orders: int = 0
    notional: Decimal = ZERO
    quote_age: Decimal = ZERO
    wait: Decimal = ZERO
    sending: Decimal = ZERO
    spread_and_depth: Decimal = ZERO
    fees: Decimal = ZERO
    limit: Decimal = ZERO
    order_by_order: Decimal = ZERO
    order_by_order_fees: Decimal = ZERO

    @property
    def slippage(self) -> Decimal:
        return sum((getattr(self, cause) for cause in CAUSES), ZERO)

    def basis_points(self, gained: Decimal) -> Decimal | None:
        """Of the notional, to a hundredth; None where nothing was settled."""
        return (gained / self.notional * 10_000).quantize(Decimal("0.01")) if self.notional else None

    def figures(self) -> dict[str, Any]:
        """For the report: each gain as USDT and basis points."""
        gains = {name: gained for name, gained in asdict(self).items() if name not in ("orders", "notional")}
        gains["slippage"] = self.slippage
        return {"orders": self.orders, "notional_usdt": float(self.notional)} | {
            name: {"usdt": round(float(gained), 2), "bp": _float(self.basis_points(gained))}
            for name, gained in gains.items()
        }


def of(orders: Iterable[Settled], paths: Mapping[str, PricePath], *, fee_rate: Decimal) -> Result:
    """The result of all these orders. `fee_rate` is what a converted coin costs, as a fraction of its worth."""
    orders = list(orders)
    result = Result()
    latency = _latency(orders)
    for order in orders:
        path = paths[order.underlying]
        signed = order.coin if order.side == "buy" else -order.coin
        mids = [path.at(moment).mid for moment in (order.placed_at, order.sent_at, order.executed_at)]
        prices = [order.index_price, *mids, order.price]
        for cause, (earlier, later) in zip(CAUSES, pairwise(prices), strict=True):
            setattr(result, cause, getattr(result, cause) + signed * (earlier - later))
        result.limit += signed * (order.index_price - path.at(order.placed_at).touch(order.side))
        alone = path.at(order.placed_at + latency).touch(order.side)
        result.order_by_order += signed * (order.index_price - alone)
        result.order_by_order_fees -= fee_rate * order.coin * alone
        result.fees -= order.fee
        result.notional += order.coin * order.index_price
        result.orders += 1
    return result


def _latency(orders: list[Settled]) -> timedelta:
    """From an order's leaving to its execution at the venue, as it usually was."""
    took = [(order.executed_at - order.sent_at).total_seconds() for order in orders]
    return timedelta(seconds=max(0.0, median(took))) if took else timedelta()


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
