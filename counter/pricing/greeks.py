"""Greeks of options that are settled at an average of the index: the derivatives of `average_option.premium` times F.

Floats, as in `counter.pricing.black76`: a sensitivity is a measure of risk, and no amount is ever booked from it.

Formulas: F. Black, "The pricing of commodity contracts" (1976), at no interest, for V = share * B(F, K', s) with the
strike K' and the deviation s of what is still to come of the average (Turnbull and Wakeman 1991, Levy 1992, see
`counter.pricing.average_option`). Its derivatives are Black's own, by the chain rule through s:

    delta = share N(d1)   (put: share (N(d1) - 1))      gamma = share n(d1) / (F s)      dV/ds = share F n(d1)

Volatility and forward of an option are held while the other moves: no skew is followed, and time passes at one forward.
"""

import math
from typing import NamedTuple

from counter.pricing import black76
from counter.pricing.average_option import Averaging, variance_years
from counter.pricing.black76 import ByKind
from counter.pricing.formulas import OptionKind

DAYS_A_YEAR = 365
_POINT = 0.01  # of volatility: vega is per percentage point, as Deribit and most desks quote it
_NORMAL = 1 / math.sqrt(2 * math.pi)


class Greeks(NamedTuple):
    """Of a long option on one coin.

    `value` USD; `delta` USD for one USD of the forward, which is coin to hold; `gamma` the change of delta for one USD;
    `vega` USD for one percentage point of volatility; `theta` USD for one day that passes, negative where it decays.
    `chance` is the model's probability, from 0 to 1, that it pays anything: N(d2), of a put N(-d2).
    """

    value: float
    delta: float
    gamma: float
    vega: float
    theta: float
    chance: float


def greeks(*, kind: OptionKind, forward: float, strike: float, iv: float, averaging: Averaging) -> Greeks:
    """Return value and greeks of one option: see `greeks_of_both`.

    Raises: ModelInputInvalid.
    """
    return greeks_of_both(forward, strike, iv, averaging).of(kind)


def greeks_of_both(forward: float, strike: float, iv: float, averaging: Averaging) -> ByKind[Greeks]:
    """Return value and greeks of call and put; units as in `average_option.premiums`, `iv` that of the index.

    An option whose average is decided has the delta of what is still open, or none, and nothing else.

    Raises: ModelInputInvalid.
    """
    share = averaging.open_share
    open_strike = averaging.strike(strike)
    if open_strike <= 0:  # a call is certain to pay, a put is worth nothing
        worth = max(averaging.known + share * forward - strike, 0.0)
        return ByKind(Greeks(worth, share, 0, 0, 0, 1), Greeks(0, 0, 0, 0, 0, 0))
    if math.isinf(open_strike):  # nothing is open any more
        worth = max(strike - averaging.known, 0.0)
        return ByKind(Greeks(0, 0, 0, 0, 0, 0), Greeks(worth, 0, 0, 0, 0, 1 if worth else 0))
    years = variance_years(begins_in=averaging.begins_in, ends_in=averaging.ends_in, iv=iv)
    deviation = iv * math.sqrt(years)
    premiums = black76.premiums(forward, open_strike, years, iv)
    d1, d2 = black76.d1_d2(forward, open_strike, years, iv)
    above, reached = black76.normal_cdf(d1), black76.normal_cdf(d2)
    density = _NORMAL * math.exp(-d1 * d1 / 2)
    slope = share * forward * density  # of the value by the deviation
    by_iv, by_day = _deviation_slopes(averaging, iv, deviation)
    gamma, vega, theta = share * density / (forward * deviation), slope * by_iv * _POINT, slope * by_day
    if averaging.begins_in == 0:
        # Each day's part of the average becomes known at today's forward: it leaves what is open, strike and forward.
        theta -= share * forward / averaging.ends_in / DAYS_A_YEAR * (above - reached)
    return ByKind(
        Greeks(share * forward * premiums.call, share * above, gamma, vega, theta, reached),
        Greeks(
            share * forward * premiums.put,
            share * -black76.normal_cdf(-d1),
            gamma,
            vega,
            theta,
            black76.normal_cdf(-d2),
        ),
    )


def _deviation_slopes(averaging: Averaging, iv: float, deviation: float) -> tuple[float, float]:
    """Return how the deviation of what is open changes with the volatility, and with a day that passes.

    Its square is iv² begins_in + L(m), with m = iv² window and L the logarithm of 2 (exp(m) - 1 - m) / m².
    """
    window = averaging.ends_in - averaging.begins_in
    growth = _log_moment_slope(iv * iv * window)
    by_iv = iv * (averaging.begins_in + growth * window) / deviation
    passing = 1.0 if averaging.begins_in > 0 else growth
    return by_iv, -iv * iv * passing / (2 * deviation) / DAYS_A_YEAR


def _log_moment_slope(m: float) -> float:
    """The derivative of L at m, by the series of the moment and of its own derivative: a third at 0."""
    moment, slope, term, power = 1.0, 0.0, 1 / 3, 1  # term = 2 m^(power - 1) / (power + 2)!
    while power * term > slope * 1e-17:
        slope += power * term
        moment += m * term
        power += 1
        term *= m / (power + 2)
    return slope / moment
