"""The circuit breaker: how a coin is traded while something is wrong with it, decided from measures and limits.

Pure: what was measured comes in, what follows goes out. A coin gets worse at once and better a step at a time, each
step only after its causes have been gone for a while and well below their limits, so that it does not flap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_UP, Context, Decimal
from enum import StrEnum

from counter.pricing.impact import ImpactRates
from infra.coordination.ages import age

RATE_UNIT = Decimal("0.000001")
NO_RATE = Decimal(0)
_LARGEST_RATE = 1 - RATE_UNIT
_ROUNDED = Context(prec=40, rounding=ROUND_UP)


class State(StrEnum):
    """How a coin is traded: as usual, at the wide spread, or closes only and those at the wide spread."""

    NORMAL = "NORMAL"
    WIDE = "WIDE"
    HALTED = "HALTED"


SEVERITY = {state: rank for rank, state in enumerate(State)}


class Reason(StrEnum):
    """Stable codes of what trips the circuit breaker: causes measured in seconds, and those of IN_USDT in USDT."""

    QUOTES_STALE = "quotes_stale"
    VENUE_HALTED = "venue_halted"
    EXPOSURE = "exposure"
    BOOK_DELTA = "book_delta"
    BOOK_VEGA = "book_vega"
    UNKNOWN_OUTCOME = "unknown_outcome"
    UNSETTLED = "unsettled"
    DESK_SILENT = "desk_silent"
    INDEX_LEAP = "index_leap"
    # No causes of their own: what is left when the causes are gone, what holds when nobody measures, a person's stop.
    REOPENING = "reopening"
    UNWATCHED = "unwatched"
    TRADING_STOPPED = "trading_stopped"


IN_USDT = frozenset({Reason.EXPOSURE, Reason.BOOK_DELTA, Reason.BOOK_VEGA})

# What stays a reason for as long as the halt that it caused: what it stops is let go on with the coin.
LASTING = (Reason.INDEX_LEAP,)


@dataclass(frozen=True, slots=True)
class Limit:
    """From which measure on the spread is widened, and from which on the coin is halted; in the measure's unit."""

    widen_from: Decimal
    halt_from: Decimal

    def state_at(self, measure: Decimal, *, share: Decimal = Decimal(1)) -> State:
        """What a measure asks for, if both limits are multiplied by `share`."""
        if measure >= self.halt_from * share:
            return State.HALTED
        return State.WIDE if measure >= self.widen_from * share else State.NORMAL


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """A coin's state with its reasons; `easing_since`: since when nothing has asked for a state as bad as this.

    Of the standing before, only LASTING reasons count: the others are measured anew.
    """

    state: State = State.NORMAL
    reasons: tuple[Reason, ...] = ()
    easing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class TradingTerms:
    """What an order's price and admission depend on beside its quote; rates are fractions of an order's fair value."""

    spread_rate: Decimal
    wide_spread_rate: Decimal
    stale_after: timedelta
    close_stale_after: timedelta
    unwatched_after: timedelta
    opens_end_before: timedelta
    price_tolerance_rate: Decimal
    impact_rates: ImpactRates

    def takes_opens(self, *, state: str | None, judged_at: datetime | None, now: datetime) -> bool:
        """Whether a coin in this state is opened; one that nobody watches any more is not."""
        if judged_at is None:  # no feed has ever run, so there is no price but one that somebody put there
            return True
        return state != State.HALTED and age(judged_at, now=now) <= self.unwatched_after

    def opens_end_at(self, expires_at: datetime) -> datetime:
        """From when on an option that expires then takes no opens: its average leaves too little to chance."""
        return expires_at - self.opens_end_before

    def open_rate(self, rate: Decimal | None) -> Decimal:
        """The spread rate of an open, given the coin's own."""
        return self.spread_rate if rate is None else rate

    def protective_rate(self, *, rate: Decimal | None, quoted_at: datetime, now: datetime) -> Decimal:
        """What a close at fill leaves: nothing as usual, the whole spread rate of a close where that is widened."""
        close_rate = self.close_rate(rate=rate, quoted_at=quoted_at, now=now)
        return close_rate if close_rate > self.spread_rate else NO_RATE

    def close_rate(self, *, rate: Decimal | None, quoted_at: datetime, now: datetime) -> Decimal:
        """The spread rate of a close: the coin's own, or a growing one at a quote that is stale."""
        quotes_age = age(quoted_at, now=now)
        if quotes_age <= self.stale_after:
            return self.open_rate(rate)
        return aged_spread_rate(wide_rate=self.wide_spread_rate, age=quotes_age, stale_after=self.stale_after)


def judge(
    *,
    before: BreakerStatus,
    measures: Mapping[Reason, Decimal],
    limits: Mapping[Reason, Limit],
    reopen_below: Decimal,
    reopen_after: timedelta,
    now: datetime,
) -> BreakerStatus:
    """Return the standing that follows from `before` and the `measures` of now; a cause that is not there has none.

    `reopen_below` is the share of a limit, in (0, 1], under which its measure has to fall, and `reopen_after` how long
    it has to stay there, before the state gets better by one step.
    """
    asked = _worst(limits[reason].state_at(measure) for reason, measure in measures.items())
    held_by = {
        reason: limits[reason].state_at(measure, share=reopen_below) for reason, measure in measures.items()
    }
    reasons = tuple(reason for reason, state in held_by.items() if state is not State.NORMAL)
    if before.state is State.HALTED:
        reasons += tuple(reason for reason in before.reasons if reason in LASTING and reason not in reasons)
    if SEVERITY[asked] > SEVERITY[before.state]:
        return BreakerStatus(asked, reasons)
    if before.state is State.NORMAL:
        return BreakerStatus()
    held = _worst(held_by.values())
    if SEVERITY[held] >= SEVERITY[before.state]:
        return BreakerStatus(before.state, reasons)
    easing_since = min(before.easing_since or now, now)  # a clock may have been ahead
    if now - easing_since < reopen_after:
        return BreakerStatus(before.state, (*reasons, Reason.REOPENING), easing_since)
    if before.state is State.WIDE:
        return BreakerStatus()
    reasons = tuple(reason for reason in reasons if reason in measures)
    if held is State.WIDE:
        return BreakerStatus(State.WIDE, reasons)
    return BreakerStatus(State.WIDE, (Reason.REOPENING,), now)


def aged_spread_rate(*, wide_rate: Decimal, age: timedelta, stale_after: timedelta) -> Decimal:
    """Return the spread rate of a close at a quote that is stale: the wide one, times the square of age / limit.

    Rounded up to 6 decimals and always below 1.
    """
    microsecond = timedelta(microseconds=1)
    # Both are whole numbers: no float comes near a price.
    times = max(_ROUNDED.divide(Decimal(age // microsecond), Decimal(stale_after // microsecond)), Decimal(1))
    rate = _ROUNDED.multiply(wide_rate, _ROUNDED.multiply(times, times))
    return min(rate, _LARGEST_RATE).quantize(RATE_UNIT, ROUND_UP, _ROUNDED)


def _worst(states: Iterable[State]) -> State:
    return max(states, key=SEVERITY.__getitem__, default=State.NORMAL)
