"""Black-76 premiums of inverse (coin-margined) options, and their way from float to Decimal.

This model (with `counter.market.volatility` that feeds it) is the one place where float exists: logarithms and the
normal distribution have no exact value in any base, and the model's own error is far above a float's. Nothing
leaves towards money but through `to_premium`, which rounds a bid down and an ask up to the quoted 6 decimals.

Formulas: F. Black, "The pricing of commodity contracts" (1976), at no interest, divided by the forward, which
is how Deribit quotes inverse options. T counts years of 365 days, which its recorded marks confirm.
"""

import math
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Generic, Literal, NamedTuple, TypeVar

from counter.pricing.formulas import OptionKind

PREMIUM_UNIT = Decimal("0.000001")
YEAR = timedelta(days=365)

T = TypeVar("T")

_SQRT_2 = math.sqrt(2)
_CONTEXT = Context(prec=40, traps=[InvalidOperation])


class ModelInputInvalid(ValueError):
    """The model cannot price these inputs."""

    code = "model_input_invalid"


def years_between(start_at: datetime, end_at: datetime) -> float:
    """Return the time from `start_at` to `end_at` in years of 365 days, negative when it has passed."""
    return (end_at - start_at) / YEAR


class ByKind(NamedTuple, Generic[T]):
    """Of the call and of the put of one strike."""

    call: T
    put: T

    def of(self, kind: OptionKind) -> T:
        """That of one kind. Raises: ModelInputInvalid."""
        if kind == "C":
            return self.call
        if kind == "P":
            return self.put
        raise ModelInputInvalid(f"kind must be 'C' or 'P', got {kind!r}")


def premium(*, kind: OptionKind, forward: float, strike: float, years: float, iv: float) -> float:
    """Return the premium of one option, in coin per coin of underlying: see `premiums`.

    Raises: ModelInputInvalid.
    """
    return premiums(forward, strike, years, iv).of(kind)


def premiums(forward: float, strike: float, years: float, iv: float) -> ByKind[float]:
    """Return the premiums of call and put, in coin per coin of underlying.

    `forward` and `strike` are USD per coin, `years` the time to expiry, `iv` a fraction (0.45 is 45 %).
    Call N(d1) - K/F N(d2), put K/F N(-d2) - N(-d1).

    Raises: ModelInputInvalid.
    """
    d1, d2 = d1_d2(forward, strike, years, iv)
    relative_strike = strike / forward
    # Far out of the money the difference of two tails can come out below zero.
    return ByKind(
        max(normal_cdf(d1) - relative_strike * normal_cdf(d2), 0.0),
        max(relative_strike * normal_cdf(-d2) - normal_cdf(-d1), 0.0),
    )


def to_premium(x: float, *, side: Literal["bid", "ask"]) -> Decimal:
    """Return a model premium as quoted: a bid rounded down to 6 decimals, an ask up and at least one unit.

    Raises: ModelInputInvalid.
    """
    if not math.isfinite(x) or x < 0:
        raise ModelInputInvalid(f"a premium is finite and not negative, got {x!r}")
    # The shortest text of a float, not its binary expansion: 0.0125 must not become an ask of 0.012501.
    exact = Decimal(repr(x))
    try:
        if side == "bid":
            return exact.quantize(PREMIUM_UNIT, ROUND_FLOOR, _CONTEXT)
        if side == "ask":
            return max(exact.quantize(PREMIUM_UNIT, ROUND_CEILING, _CONTEXT), PREMIUM_UNIT)
    except InvalidOperation as error:
        raise ModelInputInvalid(f"a premium of {x!r} is too large to quote") from error
    raise ModelInputInvalid(f"side must be 'bid' or 'ask', got {side!r}")


def d1_d2(forward: float, strike: float, years: float, iv: float) -> tuple[float, float]:
    """Return where forward and strike stand in the distribution, in its deviations. Raises: ModelInputInvalid."""
    if not (0 < forward < math.inf and 0 < strike < math.inf and 0 < years < math.inf and 0 < iv < math.inf):
        raise ModelInputInvalid(
            f"forward, strike, years and iv must be positive and finite, got {(forward, strike, years, iv)!r}"
        )
    deviation = iv * math.sqrt(years)
    if deviation == 0:
        raise ModelInputInvalid(f"iv {iv!r} over {years!r} years is no variance at all")
    d1 = math.log(forward / strike) / deviation + deviation / 2
    return d1, d1 - deviation


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function at `x`."""
    # erfc keeps its relative accuracy in the tail, where 1 + erf loses every digit.
    return 0.5 * math.erfc(-x / _SQRT_2)
