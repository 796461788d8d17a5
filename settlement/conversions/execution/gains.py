"""What an executed price gained against a benchmark price: the arithmetic alone.

    gain in USDT   = s * (benchmark - price) * coin        s = +1 for a buy, -1 for a sell
    basis points   = 10,000 * gain / (benchmark * coin)

`price` is the average over the fills, USDT for one coin, without the venue's fees. A positive gain is better than the
benchmark, as gains are positive on every page; the papers have the sign the other way round and call it cost.
Of several conversions the basis points are the mean weighted by notional (benchmark * coin), which is the sum of the
gains over the sum of the notionals: so large conversions count as what they are, and parts add up to their total.

Sources: A. F. Perold, "The Implementation Shortfall: Paper versus Reality", Journal of Portfolio Management 14(3),
1988, for benchmarks before the trade; S. A. Berkowitz, D. E. Logue and E. A. Noser, "The Total Cost of Transactions on
the NYSE", Journal of Finance 43(1), 1988, for the volume-weighted average price.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Self

from ledger.decimals import EXACT, product, quotient

BASIS_POINT = Decimal("0.0001")
HUNDREDTH = Decimal("0.01")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Gain:
    """USDT gained against a benchmark, and the USDT that the coin was worth at it; both exact, `conversions` in all."""

    usdt: Decimal = ZERO
    notional: Decimal = ZERO
    conversions: int = 0

    def __add__(self, other: Self) -> "Gain":
        return Gain(
            EXACT.add(self.usdt, other.usdt),
            EXACT.add(self.notional, other.notional),
            self.conversions + other.conversions,
        )

    @property
    def basis_points(self) -> Decimal | None:
        """Of the notional, to a hundredth, half-even; None where nothing was measured."""
        if not self.notional:
            return None
        return quotient(
            self.usdt, product(self.notional, BASIS_POINT), unit=HUNDREDTH, rounding=ROUND_HALF_EVEN
        )


def gain(*, side: str, coin: Decimal, usdt: Decimal, benchmark: Decimal) -> Gain:
    """Of one conversion that bought or sold `coin` for `usdt`; the benchmark is USDT for one coin.

    Raises: ValueError for another side, or for an amount or a price that is not positive.
    """
    if side not in ("buy", "sell") or min(coin, usdt, benchmark) <= 0:
        raise ValueError(f"nothing to measure: {side!r} {coin} for {usdt} against {benchmark}")
    notional = product(benchmark, coin)
    gained = EXACT.subtract(notional, usdt) if side == "buy" else EXACT.subtract(usdt, notional)
    return Gain(gained, notional, 1)
