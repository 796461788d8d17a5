"""What one order came to for the house, in USDT, from its quote to its fill."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from counter.models import SyncOrder
from ledger.decimals import product, quotient
from settlement.models import Allocation

ZERO = Decimal(0)
BASIS_POINT, HUNDREDTH = Decimal("0.0001"), Decimal("0.01")


@dataclass(frozen=True, slots=True)
class QuoteToFill:
    """USDT, gains positive. `fee` is what the house bears; a payout at fill bears its own, the `fee_of_customer`."""

    fair: Decimal
    value: Decimal
    spread: Decimal
    slippage: Decimal
    fee: Decimal
    fee_of_customer: Decimal
    rounding: Decimal

    @property
    def net(self) -> Decimal:
        """What is left."""
        return self.spread + self.slippage + self.fee + self.rounding

    @property
    def slippage_bps(self) -> Decimal | None:
        """Slippage in basis points of the quoted fair value, to a hundredth."""
        if not self.fair:
            return None
        return quotient(
            self.slippage, product(self.fair, BASIS_POINT), unit=HUNDREDTH, rounding=ROUND_HALF_EVEN
        )


def quote_to_fill(order: SyncOrder | None, share: Allocation | None) -> QuoteToFill | None:
    """The result of a settled order; None before. An order of another counter has no spread here."""
    if share is None:
        return None
    bears_own = order is not None and order.payout == SyncOrder.Payout.AT_FILL
    return QuoteToFill(
        fair=order.fair if order else share.order.fair,
        value=share.value,
        spread=order.spread if order else ZERO,
        slippage=share.slippage,
        fee=ZERO if bears_own else -share.fee,
        fee_of_customer=share.fee if bears_own else ZERO,
        rounding=share.rounding,
    )
