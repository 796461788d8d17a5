"""Quotes from the model: the two-sided premium of one option at an index price. Floats go in here and stay here."""

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from counter.market import black76
from counter.market.volatility import VolatilitySurface
from counter.pricing import OptionKind

VOLATILITY_UNIT = Decimal("0.000001")
# Half the distance between bid and ask: a share of the premium, but never less than a least premium in coin.
HALF_WIDTH_SHARE = 0.01
HALF_WIDTH_LEAST = 0.0001


@dataclass(frozen=True, slots=True)
class ModelQuote:
    """Premiums in coin (6 decimals); `bid` is None where the option is worth less than half the distance."""

    bid: Decimal | None
    ask: Decimal
    mark: Decimal
    implied_volatility: Decimal


def model_quote(
    *,
    underlying: str,
    kind: OptionKind,
    strike: Decimal,
    expires_at: datetime,
    index: Decimal,
    surface: VolatilitySurface,
    now: datetime,
) -> ModelQuote:
    """Price one option by Black-76 at the surface's volatility and forward.

    Raises: VolatilityError, ModelInputInvalid (an expiry that has passed among others).
    """
    years = black76.years_between(now, expires_at)
    forward = float(index) * surface.forward_ratio(underlying=underlying, years=years)
    volatility = surface.iv(
        underlying=underlying, years=years, log_moneyness=math.log(float(strike) / forward)
    )
    mark = black76.premium(kind=kind, forward=forward, strike=float(strike), years=years, iv=volatility)
    half_width = max(mark * HALF_WIDTH_SHARE, HALF_WIDTH_LEAST)
    bid = black76.to_premium(max(mark - half_width, 0.0), side="bid")
    return ModelQuote(
        bid=bid or None,
        ask=black76.to_premium(mark + half_width, side="ask"),
        mark=black76.to_premium(mark, side="bid"),
        implied_volatility=Decimal(repr(volatility)).quantize(VOLATILITY_UNIT),
    )
