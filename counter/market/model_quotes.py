"""Quotes from the model: the two-sided premiums of options at an index price. Floats go in here and stay here.

What is quoted is what will be settled: an option on the average of the index over the last half hour before its expiry.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from counter.expiring.index_average import WINDOW, AverageSoFar
from counter.market.index_level import Span
from counter.market.volatility import VolatilitySurface
from counter.pricing import average_option, black76
from counter.pricing.average_option import Averaging
from counter.pricing.black76 import ByKind
from counter.pricing.formulas import OptionKind
from counter.pricing.greeks import greeks_of_both
from ledger.decimals import EXACT, product, quotient, rounded

VOLATILITY_UNIT = Decimal("0.000001")
GREEK_UNIT = Decimal("0.000001")
FORWARD_UNIT = Decimal("0.00000001")
# Half the distance between bid and ask: a share of the premium, but never less than a least premium in coin.
HALF_WIDTH_SHARE = 0.01
HALF_WIDTH_LEAST = 0.0001
# A span of the index this narrow moves a premium by less than its bid and ask are apart.
SPAN_LEAST_RATE = Decimal("0.0001")
VOLATILITY_MOST = Decimal(
    "99.999999"
)  # what a quote holds: in the last seconds the wings of a surface have no limit


class ModelQuote(NamedTuple):
    """Premiums in coin (6 decimals); `bid` is None where the option is worth less than half the distance.

    `forward` is the one it was made at, USDT for one coin (8 decimals). Delta and vega, where they were asked for, are
    of the option on one coin: coin, and USDT for one percentage point of volatility. As the risk of the book has them
    (`counter.pricing.book_risk`), with the sign of who holds the option.
    """

    bid: Decimal | None
    ask: Decimal
    mark: Decimal
    implied_volatility: Decimal
    forward: Decimal
    delta: Decimal | None = None
    vega: Decimal | None = None


NO_GREEKS: tuple[ByKind[None], None] = ByKind(None, None), None


class ExpiryModel:
    """Prices the options of one expiry of a coin at one moment: what they have in common is worked out once.

    Each is priced on its settlement average, at the surface's volatility and forward. The premium times the index is
    the expected worth of the payoff: that is paid in coin at the average itself, so its worth is
    max(0, average - strike) USDT.

    Quotes are made at `index`, but no better for customers than at the lowest and the highest index that still count,
    those of `span`. So nobody gains by a movement that is over before it counts: at its bottom calls still cost, and at
    its top they still bring, what they did before, and puts alike.
    """

    def __init__(
        self,
        *,
        underlying: str,
        expires_at: datetime,
        surface: VolatilitySurface,
        now: datetime,
        index: Decimal,
        span: Span | None = None,
        so_far: AverageSoFar | None = None,
    ) -> None:
        """`so_far` is what is known of the average once its window has begun.

        Raises: VolatilityError, ModelInputInvalid (an expiry that has passed among others, or a window that has begun
        and of which nothing is known).
        """
        years = black76.years_between(now, expires_at)
        self._smile = surface.section(underlying=underlying, years=years)
        self._averaging = averaging_at(expires_at=expires_at, now=now, so_far=so_far)
        self._prices = [index, *_edges(index, span)]
        self._forwards = [float(price) * self._smile.forward_ratio for price in self._prices]
        self._forward = _decimal(self._forwards[0], FORWARD_UNIT)

    def quotes(self, strike: Decimal, *, with_greeks: bool = False) -> ByKind[ModelQuote]:
        """Quote call and put of one strike. Raises: VolatilityError, ModelInputInvalid."""
        marks, volatilities = [], []
        for forward in self._forwards:
            volatility = self._volatility(float(strike), forward)
            marks.append(average_option.premiums(forward, float(strike), volatility, self._averaging))
            volatilities.append(volatility)
        volatility_quoted = min(_decimal(volatilities[0], VOLATILITY_UNIT), VOLATILITY_MOST)
        delta, vega = self._greeks(strike, volatility_quoted) if with_greeks else NO_GREEKS
        return ByKind(
            self._quote([each.call for each in marks], volatility_quoted, delta.call, vega),
            self._quote([each.put for each in marks], volatility_quoted, delta.put, vega),
        )

    def _volatility(self, strike: float, forward: float) -> float:
        """That of what is still open of the average; of the strike itself where the option is decided."""
        open_strike = self._averaging.strike(strike)
        decided = open_strike <= 0 or math.isinf(open_strike)
        return self._smile.iv(math.log((strike if decided else open_strike) / forward))

    def _quote(
        self, marks: Sequence[float], volatility: Decimal, delta: Decimal | None, vega: Decimal | None
    ) -> ModelQuote:
        """Quote an option that is worth `marks` at the prices, the first of which is the index."""
        bid, ask = self._sides(marks)
        mark = black76.to_premium(marks[0], side="bid")
        return ModelQuote(bid or None, ask, mark, volatility, self._forward, delta, vega)

    def _sides(self, marks: Sequence[float]) -> tuple[Decimal, Decimal]:
        """Bid and ask of least and of most USDT among the prices, in coin at the index."""
        sides = [_bid_and_ask(mark) for mark in marks]
        if len(sides) == 1:
            return sides[0]
        priced = list(zip(self._prices, sides, strict=True))
        least = min(product(bid, price) for price, (bid, _) in priced)
        most = max(product(ask, price) for price, (_, ask) in priced)
        index, unit = self._prices[0], black76.PREMIUM_UNIT
        return (
            quotient(least, index, unit=unit, rounding=ROUND_FLOOR),
            quotient(most, index, unit=unit, rounding=ROUND_CEILING),
        )

    def _greeks(self, strike: Decimal, volatility: Decimal) -> tuple[ByKind[Decimal], Decimal]:
        """Deltas and vega at the forward and the volatility as they are quoted."""
        forward = float(self._forward)
        call, put = greeks_of_both(forward, float(strike), float(volatility), self._averaging)
        deltas = ByKind(_decimal(call.delta, GREEK_UNIT), _decimal(put.delta, GREEK_UNIT))
        return deltas, _decimal(call.vega * (float(self._prices[0]) / forward), GREEK_UNIT)


def model_quote(*, kind: OptionKind, strike: Decimal, **terms: Any) -> ModelQuote:
    """Quote one option by itself; `terms` are those of an `ExpiryModel`, and it raises what that does."""
    return ExpiryModel(**terms).quotes(strike).of(kind)


def _edges(index: Decimal, span: Span | None) -> set[Decimal]:
    """The other prices to quote at: none where a span is too narrow to matter."""
    if span is None or EXACT.subtract(span.high, span.low) <= product(span.low, SPAN_LEAST_RATE):
        return set()
    return {span.low, span.high} - {index}


def _bid_and_ask(mark: float) -> tuple[Decimal, Decimal]:
    half_width = max(mark * HALF_WIDTH_SHARE, HALF_WIDTH_LEAST)
    return (
        black76.to_premium(max(mark - half_width, 0.0), side="bid"),
        black76.to_premium(mark + half_width, side="ask"),
    )


def _decimal(number: float, unit: Decimal) -> Decimal:
    return rounded(Decimal(repr(number)), unit, ROUND_HALF_EVEN)


def averaging_at(*, expires_at: datetime, now: datetime, so_far: AverageSoFar | None) -> Averaging:
    """How the settlement average of `expires_at` stands at `now`; `so_far` is needed once its window has begun.

    Raises: ModelInputInvalid for a window that has begun and of which nothing is known.
    """
    years = black76.years_between(now, expires_at)
    begins_at = expires_at - WINDOW
    if now < begins_at:
        return Averaging(begins_in=black76.years_between(now, begins_at), ends_in=years)
    if so_far is None:
        raise black76.ModelInputInvalid(f"nothing is known of the average since {begins_at.isoformat()}")
    return Averaging(0.0, years, known=float(so_far.known), open_share=float(so_far.open_share))
