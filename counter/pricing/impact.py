"""What an order's size costs: the impact that it has on a coin's book and on the venue, charged beside the spread.

A coin's book has three measures, each of the exchange: delta and vega of its options, and the coin of premiums that it
has not converted yet. An order moves each by its flow, from a to b. The next USDT of a measure costs `rate` times how
far the measure stands from 0, in units of its depth, and nothing as long as it comes nearer to 0:

    charge = rate / depth * integral of |x| dx over that part of a..b on which |x| grows
           = rate / (2 depth) * (b² - a²)       for an order that leads away from 0

(a linear price impact: A. S. Kyle, "Continuous auctions and insider trading", 1985; G. Huberman and W. Stanzl, "Price
manipulation and quasi-arbitrage", 2004, show that a permanent impact that cannot be gamed by the way an order is cut
has to be linear). The charge for one contract is never more than a share of its worth, by each measure.

So an order cut into parts, each at the book that the one before left, costs exactly as much before rounding, and never
less after it: charges are rounded up. A larger order never costs less, and none is paid for an order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from fractions import Fraction
from typing import NamedTuple

from counter.pricing.formulas import AmountTooLarge
from ledger.decimals import EXACT, product

ZERO, ONE, MICROS = Decimal(0), Decimal(1), 10**6


class Measures(NamedTuple):
    """Of a book or a flow, from the exchange's side: delta and premiums in coin, vega in USDT for one point."""

    delta: Decimal = ZERO
    vega: Decimal = ZERO
    premium: Decimal = ZERO

    def plus(self, other: "Measures") -> "Measures":
        """The sum, exact."""
        return Measures(*map(EXACT.add, self, other))


NOTHING = Measures()


class Depths(NamedTuple):
    """How far from 0 each measure of a coin costs the whole rate, in USDT; None charges nothing for it."""

    delta: Decimal | None = None
    vega: Decimal | None = None
    premium: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ImpactRates:
    """USDT for one USDT of delta, vega (so points of volatility) and premiums, at a book as far as its depth.

    `most` is the largest share of an order's worth that each of the three may take.
    """

    delta: Decimal
    vega: Decimal
    premium: Decimal
    most: Decimal


@dataclass(slots=True)
class CoinBook:
    """A coin's depths, and where its book stands: what has been taken since it was measured is in it."""

    depths: Depths
    at: Measures

    def take(self, flow: Measures) -> None:
        """Count what an order has moved."""
        self.at = self.at.plus(flow)


def flow_of(
    *,
    opens: bool,
    contracts: int,
    multiplier: Decimal,
    premium: Decimal,
    delta: Decimal | None,
    vega: Decimal | None,
) -> Measures:
    """Return how an order moves the exchange's book; `delta`, `vega` and `premium` are of an option on one coin.

    A sold call takes delta away and a sold put adds it; either takes vega away; the premium is coin to be bought.
    Greeks that are not known move nothing.
    """
    coin = product(multiplier, contracts if opens else -contracts)
    short = coin.copy_negate()
    return Measures(product(short, delta or ZERO), product(short, vega or ZERO), product(coin, premium))


def impact(
    *,
    book: CoinBook,
    flow: Measures,
    reserved: Iterable[Measures],
    index: Decimal,
    worth: Decimal,
    rates: ImpactRates,
    is_converted_at_fill: bool = False,
) -> Decimal:
    """Return what an order is charged for its impact, USDT, rounded up to 6 decimals for each measure.

    `worth` is that of the order at its quote, USDT, and `index` USDT for one coin. `reserved` are flows that the
    customer was promised a price for and may still have: those that lead the same way count as taken. What is
    `is_converted_at_fill` bears the venue's price itself.

    Raises: AmountTooLarge.
    """
    promised = list(reserved)
    units = Measures(index, Decimal(1), index)
    charged = ZERO
    try:
        for name in Measures._fields:
            depth, moved = getattr(book.depths, name), getattr(flow, name)
            if not depth or not moved or (name == "premium" and is_converted_at_fill):
                continue
            start = getattr(book.at, name)
            for each in promised:
                also = getattr(each, name)
                if (also > ZERO) == (moved > ZERO):
                    start = EXACT.add(start, also)
            unit = getattr(units, name)
            charge = _charge(
                start=product(start, unit),
                flow=product(moved, unit),
                depth=depth,
                rate=getattr(rates, name),
                most=product(rates.most, worth),
            )
            charged = EXACT.add(charged, charge)
    except DecimalException as error:
        raise AmountTooLarge("the order moves the book by more than can be priced") from error
    return charged


def _charge(*, start: Decimal, flow: Decimal, depth: Decimal, rate: Decimal, most: Decimal) -> Decimal:
    """One measure's charge, all in USDT; `most` is for the whole flow, evenly."""
    end = EXACT.add(start, flow)
    if flow < ZERO:
        start, flow, end = start.copy_negate(), flow.copy_negate(), end.copy_negate()
    near, far = start if start > ZERO else ZERO, end if end > ZERO else ZERO
    if far == near:
        return ZERO
    if product(rate, far, flow) <= product(most, depth):
        grown = product(EXACT.subtract(far, near), EXACT.add(far, near))  # of the squares
        return _micros_up(product(rate, grown, MICROS), product(depth, 2))
    # From `bound` on, the next USDT of the measure costs no more than at it. In fractions, which are exact.
    rate_of_flow = Fraction(rate) * Fraction(flow)
    bound = Fraction(most) * Fraction(depth) * _inverse(rate_of_flow)
    bends = max(bound, Fraction(near))
    below = (bends**2 - Fraction(near) ** 2) * Fraction(rate) * _inverse(Fraction(depth) * 2)
    above = (Fraction(far) - bends) * Fraction(most) * _inverse(Fraction(flow))
    exact = below + above
    return Decimal(-(-exact.numerator * 10**6 // exact.denominator)).scaleb(-6, EXACT)


def _micros_up(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Micro-USDT, a whole number that is rounded up, as USDT: as `ledger.decimals.quotient`, in half of its time."""
    whole, rest = EXACT.divmod(dividend, divisor)
    return EXACT.scaleb(EXACT.add(whole, ONE) if rest else whole, -6)


def _inverse(number: Fraction) -> Fraction:
    return Fraction(number.denominator, number.numerator)
