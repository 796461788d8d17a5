"""Quotes from the model: the two-sided premium of one option at an index price. Floats go in here and stay here.

What is quoted is what will be settled: an option on the average of the index over the last half hour before its expiry.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from counter.expiring.index_average import WINDOW, AverageSoFar
from counter.market.index_level import Span
from counter.market.volatility import VolatilitySurface
from counter.models import Option
from counter.pricing import average_option, black76
from counter.pricing.average_option import Averaging
from counter.pricing.formulas import OptionKind
from counter.pricing.greeks import greeks
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


@dataclass(frozen=True, slots=True)
class ModelQuote:
    """Premiums in coin (6 decimals); `bid` is None where the option is worth less than half the distance.

    `forward` is the one it was made at, USDT for one coin (8 decimals).
    """

    bid: Decimal | None
    ask: Decimal
    mark: Decimal
    implied_volatility: Decimal
    forward: Decimal


def model_quote(
    *,
    underlying: str,
    kind: OptionKind,
    strike: Decimal,
    expires_at: datetime,
    index: Decimal,
    surface: VolatilitySurface,
    now: datetime,
    so_far: AverageSoFar | None = None,
) -> ModelQuote:
    """Price one option on its settlement average, at the surface's volatility and forward.

    `so_far` is what is known of the average once its window has begun. The premium times the index is the expected
    worth of the payoff: that is paid in coin at the average itself, so its worth is max(0, average - strike) USDT.

    Raises: VolatilityError, ModelInputInvalid (an expiry that has passed among others, or a window that has begun and
    of which nothing is known).
    """
    years = black76.years_between(now, expires_at)
    forward = float(index) * surface.forward_ratio(underlying=underlying, years=years)
    averaging = averaging_at(expires_at=expires_at, now=now, so_far=so_far)
    open_strike = averaging.strike(float(strike))
    decided = open_strike <= 0 or math.isinf(open_strike)
    volatility = surface.iv(
        underlying=underlying,
        years=years,
        log_moneyness=math.log((float(strike) if decided else open_strike) / forward),
    )
    mark = average_option.premium(
        kind=kind, forward=forward, strike=float(strike), iv=volatility, averaging=averaging
    )
    half_width = max(mark * HALF_WIDTH_SHARE, HALF_WIDTH_LEAST)
    bid = black76.to_premium(max(mark - half_width, 0.0), side="bid")
    return ModelQuote(
        bid=bid or None,
        ask=black76.to_premium(mark + half_width, side="ask"),
        mark=black76.to_premium(mark, side="bid"),
        implied_volatility=min(
            rounded(Decimal(repr(volatility)), VOLATILITY_UNIT, ROUND_HALF_EVEN), VOLATILITY_MOST
        ),
        forward=rounded(Decimal(repr(forward)), FORWARD_UNIT, ROUND_HALF_EVEN),
    )


def cautious_quote(at: Callable[[Decimal], ModelQuote], *, index: Decimal, span: Span) -> ModelQuote:
    """Quote at `index`, but no better for customers than at the lowest and the highest index that still count.

    `at` quotes at one index. So nobody gains by a movement that is over before it counts: at its bottom calls still
    cost, and at its top they still bring, what they did before, and puts alike.
    """
    made = at(index)
    width = EXACT.subtract(span.high, span.low)
    if width <= product(span.low, SPAN_LEAST_RATE):
        return made
    quoted = [(index, made), *((price, at(price)) for price in {span.low, span.high} - {index})]
    bid = min(product(each.bid or Decimal(0), price) for price, each in quoted)
    ask = max(product(each.ask, price) for price, each in quoted)
    return replace(
        made,
        bid=quotient(bid, index, unit=black76.PREMIUM_UNIT, rounding=ROUND_FLOOR) or None,
        ask=quotient(ask, index, unit=black76.PREMIUM_UNIT, rounding=ROUND_CEILING),
    )


def greeks_of(
    made: ModelQuote, option: Option, *, index: Decimal, now: datetime, so_far: AverageSoFar | None
) -> tuple[Decimal, Decimal]:
    """Delta and vega of a quoted option on one coin: coin, and USDT for one percentage point of volatility.

    As the risk of the book has them (`counter.pricing.book_risk`), with the sign of who holds the option.

    Raises: ModelInputInvalid.
    """
    known = greeks(
        kind=option.kind,  # type: ignore[arg-type]
        forward=float(made.forward),
        strike=float(option.strike),
        iv=float(made.implied_volatility),
        averaging=averaging_at(expires_at=option.expires_at, now=now, so_far=so_far),
    )
    carry = float(index) / float(made.forward)
    return (
        rounded(Decimal(repr(known.delta)), GREEK_UNIT, ROUND_HALF_EVEN),
        rounded(Decimal(repr(known.vega * carry)), GREEK_UNIT, ROUND_HALF_EVEN),
    )


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
