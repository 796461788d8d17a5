"""Risk of the option book: greeks of what customers hold, turned to the exchange's side, and what shocks would cost.

Floats, as in `counter.pricing.greeks`: measures of risk, from which no amount is booked.

The exchange is short what customers hold, so every figure here is theirs with the sign turned: a book of sold calls has
a negative value (what would be paid to buy it back at the marks), a negative delta (it loses when the coin rises) and a
negative vega.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

from counter.pricing import black76
from counter.pricing.average_option import Averaging, variance_years
from counter.pricing.formulas import OptionKind
from counter.pricing.greeks import greeks

# Moves of a coin's price and of every volatility, as fractions: the scenarios that are shown.
PRICE_MOVES = (-0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3)
VOLATILITY_MOVES = (-0.5, -0.25, 0.0, 0.25, 0.5)
ONE_PERCENT = 0.01

Grid = list[list[float]]  # a row for each of VOLATILITY_MOVES, a column for each of PRICE_MOVES


@dataclass(frozen=True, slots=True)
class Held:
    """What customers hold of one series, and what it is priced by.

    `coin` is contracts times multiplier, `index` and `forward` USDT for one coin, `iv` a fraction.
    """

    symbol: str
    underlying: str
    kind: OptionKind
    strike: float
    expires_at: datetime
    contracts: int
    coin: float
    index: float
    forward: float
    iv: float
    averaging: Averaging


@dataclass(frozen=True, slots=True)
class Risk:
    """Of the exchange, in USDT: `value` of the options, `delta` (coin times index), the change of delta for 1 % of the
    price (`gamma`), `vega` for one percentage point of volatility, and `theta` for one day.
    """

    value: float = 0.0
    delta: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0

    def __add__(self, other: "Risk") -> "Risk":
        return Risk(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))

    def times(self, factor: float) -> "Risk":
        """All of it `factor` times: in coin, for 1 / index."""
        return Risk(*(factor * one for one in astuple(self)))


def risk_of(held: Held) -> Risk:
    """The exchange's risk from what customers hold of one series.

    Raises: ModelInputInvalid.
    """
    each = greeks(
        kind=held.kind, forward=held.forward, strike=held.strike, iv=held.iv, averaging=held.averaging
    )
    # Quoted is the premium times the index, which is the model's value times index / forward.
    carry = held.index / held.forward
    short = -held.coin
    return Risk(
        value=short * each.value * carry,
        delta=short * each.delta * held.index,
        gamma=short * each.gamma / carry * held.index * held.index * ONE_PERCENT,
        vega=short * each.vega * carry,
        theta=short * each.theta * carry,
    )


def total(risks: Iterable[Risk]) -> Risk:
    """The sum, exact to the last digit in any order."""
    parts = [astuple(risk) for risk in risks]
    return Risk(*(math.fsum(column) for column in zip(*parts, strict=True))) if parts else Risk()


def scenarios(
    book: Iterable[Held],
    *,
    price_moves: Sequence[float] = PRICE_MOVES,
    volatility_moves: Sequence[float] = VOLATILITY_MOVES,
) -> Grid:
    """What the exchange would gain (lose, below zero) in USDT if prices and volatilities moved at this moment.

    All coins move alike. Each option is priced anew, with its own volatility times 1 + the move. What is known of an
    average stays.

    Raises: ModelInputInvalid.
    """
    grid = [[0.0] * len(price_moves) for _ in volatility_moves]
    for held in book:
        short = -held.coin * held.index / held.forward
        now = _value(held, held.iv, 1.0)
        for row, volatility_move in zip(grid, volatility_moves, strict=True):
            values = _values(held, held.iv * (1 + volatility_move), [1 + move for move in price_moves])
            for column, value in enumerate(values):
                row[column] += short * (value - now)
    return grid


def _value(held: Held, iv: float, factor: float) -> float:
    return _values(held, iv, [factor])[0]


def _values(held: Held, iv: float, factors: Sequence[float]) -> list[float]:
    """USD of a long option on one coin at the forward times each factor: `greeks(...).value`, for many at once."""
    averaging = held.averaging
    share, known, strike = averaging.open_share, averaging.known, held.strike
    forwards = [held.forward * factor for factor in factors]
    open_strike = averaging.strike(strike)
    if open_strike <= 0 or math.isinf(open_strike):
        signed = [known + share * forward - strike for forward in forwards]
        return [max(worth if held.kind == "C" else -worth, 0.0) for worth in signed]
    years = variance_years(begins_in=averaging.begins_in, ends_in=averaging.ends_in, iv=iv)
    return [
        share
        * forward
        * black76.premium(kind=held.kind, forward=forward, strike=open_strike, years=years, iv=iv)
        for forward in forwards
    ]
