"""Implied volatility by underlying, time to expiry and log-moneyness: a parametric and a recorded surface.

Floats, as in `counter.pricing.black76`, which they feed. Volatility is positive everywhere, and the parametric surface
is free of static arbitrage by construction: its parameters are refused otherwise.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Protocol

from counter.market.chain import ChainRow
from counter.pricing.black76 import years_between


class VolatilityError(ValueError):
    """The surface has no answer."""

    code = "volatility_error"


class UnderlyingUnknown(VolatilityError):
    """The surface has no volatilities of this underlying."""

    code = "underlying_unknown"


class SurfaceInvalid(VolatilityError):
    """The parameters or rows would allow arbitrage or make no surface."""

    code = "surface_invalid"


class SmileSection(Protocol):
    """The smile of one expiry: volatilities, and `forward_ratio`, the forward by the index."""

    @property
    def forward_ratio(self) -> float: ...

    def iv(self, log_moneyness: float) -> float:
        """Return the implied volatility at ln(strike / forward) as a fraction, above 0."""


class VolatilitySurface(Protocol):
    """Smiles by `years` to expiry, of 365 days each."""

    def section(self, *, underlying: str, years: float) -> SmileSection:
        """Return the smile of one expiry. Raises: UnderlyingUnknown, SurfaceInvalid."""


@dataclass(frozen=True, slots=True)
class Smile:
    """Parameters of one underlying.

    ATM variance relaxes from `short_iv`² to `long_iv`² over `relaxation_years`; `skew` (-1 to 1) tilts the
    smile and `curvature` opens it. `carry_rate` is the yearly log growth of the forward over the index.
    """

    short_iv: float
    long_iv: float
    relaxation_years: float
    skew: float
    curvature: float
    carry_rate: float = 0.0

    def __post_init__(self) -> None:
        if not (self.short_iv > 0 and self.long_iv > 0 and self.relaxation_years > 0 and self.curvature > 0):
            raise SurfaceInvalid(f"volatilities, relaxation and curvature must be positive: {self}")
        # Gatheral and Jacquier, remark 4.4: the bound under which no butterfly pays.
        if not abs(self.skew) < 1 or self.curvature * (1 + abs(self.skew)) > 2:
            raise SurfaceInvalid(f"curvature * (1 + |skew|) must be at most 2 and |skew| below 1: {self}")


@dataclass(frozen=True, slots=True)
class ParametricSurface:
    """A surface SVI (SSVI) surface with a square-root power law.

    J. Gatheral, A. Jacquier, "Arbitrage-free SVI volatility surfaces" (2014), section 4: at log-moneyness k,
    with ATM total variance t and p = curvature / sqrt(t (1 + t)), total variance is
    t/2 (1 + skew p k + sqrt((p k + skew)² + 1 - skew²)).
    """

    smiles: Mapping[str, Smile]

    def section(self, *, underlying: str, years: float) -> SmileSection:
        _check_years(years)
        try:
            smile = self.smiles[underlying]
        except KeyError:
            raise UnderlyingUnknown(f"no volatilities of {underlying}") from None
        atm = _atm_total_variance(smile, years)
        return _ParametricSection(
            forward_ratio=math.exp(smile.carry_rate * years),
            years=years,
            half_variance=atm / 2,
            scale=smile.curvature / math.sqrt(atm * (1 + atm)),
            skew=smile.skew,
        )


@dataclass(frozen=True, slots=True)
class _ParametricSection:
    """One expiry of a parametric surface: t/2 is `half_variance`, p is `scale`."""

    forward_ratio: float
    years: float
    half_variance: float
    scale: float
    skew: float

    def iv(self, log_moneyness: float) -> float:
        scaled, rho = self.scale * log_moneyness, self.skew
        bracket = 1 + rho * scaled + math.sqrt((scaled + rho) ** 2 + 1 - rho * rho)
        return math.sqrt(self.half_variance * bracket / self.years)


# Fitted by least squares to calm recorded chains of January 2026, out-of-the-money options weighted by vega.
DEFAULT_SURFACE = ParametricSurface(
    {
        "BTC": Smile(
            short_iv=0.35, long_iv=0.54, relaxation_years=0.39, skew=-0.23, curvature=0.79, carry_rate=0.045
        ),
        "ETH": Smile(
            short_iv=0.50, long_iv=0.675, relaxation_years=0.21, skew=-0.16, curvature=0.74, carry_rate=0.035
        ),
    }
)


@dataclass(frozen=True, slots=True)
class _Slice:
    """One expiry of a chain: volatility at rising log-moneyness, and ln(forward / index)."""

    years: float
    log_ratio: float
    log_moneyness: tuple[float, ...]
    ivs: tuple[float, ...]

    def total_variance(self, log_moneyness: float) -> float:
        """Interpolate linearly in total variance; beyond the outer strikes volatility stays as it is."""
        ks = self.log_moneyness
        right = bisect_left(ks, log_moneyness)
        if right == 0:
            return self.ivs[0] ** 2 * self.years
        if right == len(ks):
            return self.ivs[-1] ** 2 * self.years
        share = (log_moneyness - ks[right - 1]) / (ks[right] - ks[right - 1])
        variance = (1 - share) * self.ivs[right - 1] ** 2 + share * self.ivs[right] ** 2
        return variance * self.years


@dataclass(frozen=True, slots=True)
class ChainSurface:
    """The volatilities of a recorded chain, by tenor: they move with the forward and do not age.

    Recorded points come out as they were recorded. Between expiries total variance at one log-moneyness is
    linear in time; before the first and after the last volatility stays as it is there.
    """

    slices: Mapping[str, Sequence[_Slice]]

    def section(self, *, underlying: str, years: float) -> SmileSection:
        _check_years(years)
        slices = self.slices.get(underlying)
        if not slices:
            raise UnderlyingUnknown(f"no volatilities of {underlying}")
        right = bisect_right(slices, years, key=lambda one: one.years)
        before = slices[max(right - 1, 0)]
        if right in (0, len(slices)) or before.years == years:
            # Outside of the recorded ones the growth a year stays as it is there.
            return _RecordedSection(math.exp(before.log_ratio * years / before.years), before)
        after = slices[right]
        share = (years - before.years) / (after.years - before.years)
        ratio = math.exp((1 - share) * before.log_ratio + share * after.log_ratio)
        return _BetweenSection(ratio, years, before, after, share)


@dataclass(frozen=True, slots=True)
class _RecordedSection:
    """The smile of a recorded expiry, or before the first or after the last."""

    forward_ratio: float
    recorded: _Slice

    def iv(self, log_moneyness: float) -> float:
        return math.sqrt(self.recorded.total_variance(log_moneyness) / self.recorded.years)


@dataclass(frozen=True, slots=True)
class _BetweenSection:
    """The smile between two recorded expiries, `share` of the way to the second."""

    forward_ratio: float
    years: float
    before: _Slice
    after: _Slice
    share: float

    def iv(self, log_moneyness: float) -> float:
        near, far = self.before.total_variance(log_moneyness), self.after.total_variance(log_moneyness)
        return math.sqrt(((1 - self.share) * near + self.share * far) / self.years)


def chain_surface(rows: Iterable[ChainRow]) -> ChainSurface:
    """Build the surface of a recorded chain, shifted in time or not.

    Raises: SurfaceInvalid when an expiry had passed at the recording.
    """
    ordered = sorted(rows, key=lambda row: (row.underlying, row.expiry_at, row.strike, row.kind))
    slices: dict[str, list[_Slice]] = {}
    for (underlying, _), expiry_rows in groupby(ordered, key=lambda row: (row.underlying, row.expiry_at)):
        slices.setdefault(underlying, []).append(_slice(list(expiry_rows)))
    return ChainSurface(slices)


def _slice(rows: Sequence[ChainRow]) -> _Slice:
    years = years_between(rows[0].recorded_at, rows[0].expiry_at)
    if years <= 0:
        raise SurfaceInvalid(f"{rows[0].symbol} had expired when it was recorded")
    # The recorder saw the future tick between rows: the middle one stands for all.
    forward = median(float(row.futures) for row in rows)
    points: dict[float, float] = {}
    for row in rows:
        strike = float(row.strike)
        out_of_the_money = (strike >= forward) == (row.kind == "C")
        log_moneyness = math.log(strike / forward)
        # The out-of-the-money option of a strike is the traded one; its volatility is the better known.
        if out_of_the_money or log_moneyness not in points:
            points[log_moneyness] = float(row.iv)
    return _Slice(
        years=years,
        log_ratio=math.log(median(float(row.futures / row.index) for row in rows)),
        log_moneyness=tuple(points),
        ivs=tuple(points.values()),
    )


def _atm_total_variance(smile: Smile, years: float) -> float:
    # The integral of a variance that relaxes exponentially only grows with time: no calendar spread pays.
    short, long = smile.short_iv**2, smile.long_iv**2
    relaxed = smile.relaxation_years * -math.expm1(-years / smile.relaxation_years)
    return long * years + (short - long) * relaxed


def _check_years(years: float) -> None:
    if not (math.isfinite(years) and years > 0):
        raise SurfaceInvalid(f"years to expiry must be positive and finite, got {years!r}")
