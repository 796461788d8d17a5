"""Premiums of options that are settled at an average: of the index over the last 30 minutes, part of it known already.

Floats, as in `counter.pricing.black76`, which prices what is left after two steps that are standard for such options:

- What is known leaves the strike: max(0, known + share R - K) is share max(0, R - K'), K' = (K - known) / share, with
  R the mean of what is still to come. At K' <= 0 a call is certain to pay, and a put is worth nothing.
- R is taken as lognormal with the forward as its mean and the variance that the average of a geometric Brownian motion
  has exactly: S. Turnbull, L. Wakeman, "A quick algorithm for pricing European average options" (1991), and E. Levy,
  "Pricing European average rate currency options" (1992).
"""

import math
from dataclasses import dataclass

from counter.pricing import black76
from counter.pricing.black76 import ByKind, ModelInputInvalid
from counter.pricing.formulas import OptionKind


@dataclass(frozen=True, slots=True)
class Averaging:
    """How an option's average stands: years until its window begins (0 once it has), and until it ends.

    Once it has begun `known` is the part of the average that is fixed, in USD for one coin, and `open_share` the
    weight, from 0 to 1, of what is not.
    """

    begins_in: float
    ends_in: float
    known: float = 0.0
    open_share: float = 1.0

    def strike(self, strike: float) -> float:
        """The strike of what is still to come, 0 or less where the option is decided for the call."""
        if self.open_share == 0:
            return -math.inf if self.known > strike else math.inf
        return (strike - self.known) / self.open_share


def premium(*, kind: OptionKind, forward: float, strike: float, iv: float, averaging: Averaging) -> float:
    """Return the premium of one option, in coin per coin of underlying: see `premiums`.

    Raises: ModelInputInvalid.
    """
    return premiums(forward, strike, iv, averaging).of(kind)


def premiums(forward: float, strike: float, iv: float, averaging: Averaging) -> ByKind[float]:
    """Return the premiums of call and put; units as in `black76.premiums`, `iv` that of the index.

    Raises: ModelInputInvalid.
    """
    open_strike, share = averaging.strike(strike), averaging.open_share
    if open_strike <= 0:
        average = averaging.known + share * forward
        return ByKind(max((average - strike) / forward, 0.0), 0.0)
    if math.isinf(open_strike):
        return ByKind(0.0, max((strike - averaging.known) / forward, 0.0))
    years = variance_years(begins_in=averaging.begins_in, ends_in=averaging.ends_in, iv=iv)
    call, put = black76.premiums(forward, open_strike, years, iv)
    return ByKind(share * call, share * put)


def variance_years(*, begins_in: float, ends_in: float, iv: float) -> float:
    """Return the years in which the index itself has the variance of its average from `begins_in` to `ends_in`.

    For a variance m = iv² (ends_in - begins_in) of the window the second moment of the average is, in squares of the
    forward, exp(iv² begins_in) times 2 (exp(m) - 1 - m) / m²: close to begins_in plus a third of the window.

    Raises: ModelInputInvalid.
    """
    if not (0 <= begins_in < ends_in and math.isfinite(ends_in) and math.isfinite(iv) and iv > 0):
        raise ModelInputInvalid(f"no average from {begins_in!r} to {ends_in!r} years at {iv!r}")
    m = iv * iv * (ends_in - begins_in)
    # 2 (exp(m) - 1 - m) / m² - 1 as its series: the closed form has no digits left at the variance of half an hour.
    term, excess, power = m / 3, 0.0, 3
    while term > excess * 1e-17:
        excess += term
        power += 1
        term *= m / power
    return begins_in + math.log1p(excess) / (iv * iv)
