"""Trying again at once what executed nothing, within bounds, and letting a coin rest when they are reached.

A limit order misses when the price has left its limit before it arrived. Its orders are netted anew and sent at the
price of that moment, up to CHASE_TRIES times in CHASE_SECONDS, within the venue's allowance like every round, and never
at a limit further than CHASE_BAND_RATE from the price that they were first netted at. Beyond that the coin rests: until
a stored time, a little longer each time it comes back to rest. What is tried after a rest starts from the price of its
own moment, because an order that is never hedged has no bound at all; the circuit breaker watches what is unhedged.
"""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import structlog
from django.conf import settings
from django.db import connections

from infra.broker import wakeups
from ledger.decimals import EXACT, product, quotient
from settlement.models import Conversion
from settlement.task_triggers import chain_of
from settlement.venues import error_table
from settlement.venues.protocol import PRICE_FRESH_SECONDS, TopOfBook

log = structlog.get_logger(__name__)

REST_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)
LONGEST_REST = timedelta(seconds=10)  # longer than any: a time beyond it was stored by a clock that was wrong
IN_A_ROW_WITHIN = timedelta(seconds=10)  # from the end of one rest to the next, if that is to be longer
TELL_PEOPLE_AFTER = 5  # rests in a row
MOVES_FOR_SECONDS = 10.0
REST = """
    INSERT INTO settlement_coinrest AS r (underlying, in_a_row, due_at, why)
    VALUES (%(underlying)s, 1, %(now)s, %(why)s)
    ON CONFLICT (underlying) DO UPDATE SET why = EXCLUDED.why, due_at = EXCLUDED.due_at, in_a_row = CASE
        WHEN r.due_at BETWEEN %(since)s AND %(until)s THEN r.in_a_row + 1 ELSE 1 END
    RETURNING in_a_row
"""
REST_UNTIL = "UPDATE settlement_coinrest SET due_at = %s WHERE underlying = %s"

PRICE_FAST_SECONDS = 0.1

# When a coin's orders missed last, by the monotonic clock of this process: while a price moves that fast, each round
# takes one that was pushed just now or asks for it, instead of taking one that may be a second old.
_missed_at: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Chase:
    """Tries since the first that executed nothing: `reference_price` and `began_seconds` (monotonic) are that one's."""

    side: str
    reference_price: Decimal
    began_seconds: float
    tries: int = 1

    @property
    def over(self) -> str:
        """Why no other try follows at once; blank while one does."""
        if self.tries >= settings.CHASE_TRIES:
            return f"{self.tries} tries executed nothing"
        if time.monotonic() - self.began_seconds >= settings.CHASE_SECONDS:
            return f"tries of {settings.CHASE_SECONDS} s executed nothing"
        return ""

    def too_far(self, top: TopOfBook) -> bool:
        """Whether the price has gone further than orders are chased."""
        if self.side == "buy":
            return top.ask > self.worst("buy")
        return top.bid < self.worst("sell")

    def worst(self, side: str) -> Decimal:
        """The worst price that is still chased."""
        band = settings.CHASE_BAND_RATE if side == "buy" else -settings.CHASE_BAND_RATE
        return product(self.reference_price, EXACT.add(Decimal(1), band))

    def bounded(self, limit_price: Decimal, side: str, tick: Decimal) -> Decimal:
        """The limit, or the worst price that is chased if that is better for us, on the venue's tick."""
        rounding = ROUND_FLOOR if side == "buy" else ROUND_CEILING
        worst = product(quotient(self.worst(side), tick, unit=Decimal(1), rounding=rounding), tick)
        return min(limit_price, worst) if side == "buy" else max(limit_price, worst)


def after_miss(chase: Chase | None, missed: Conversion) -> Chase:
    """The chase after one more try that executed nothing."""
    _missed_at[missed.underlying] = time.monotonic()
    if chase is None:
        return Chase(missed.side, missed.reference_price, began_seconds=time.monotonic())
    return replace(chase, side=missed.side, tries=chase.tries + 1)


def price_within_seconds(underlying: str, chase: Chase | None) -> float:
    """How old the price of the next order may be: after a miss it is asked for, because what was pushed has misled."""
    if chase is not None:
        return 0.0
    missed_at = _missed_at.get(underlying)
    moves_fast = missed_at is not None and time.monotonic() - missed_at < MOVES_FOR_SECONDS
    return PRICE_FAST_SECONDS if moves_fast else PRICE_FRESH_SECONDS


def rest(underlying: str, *, why: str, now: datetime) -> None:
    """Let a coin rest, longer each time in a row; its worker is called again when that is over."""
    row: dict[str, str | datetime] = {"underlying": underlying, "why": why[:500], "now": now}
    with connections["desk"].cursor() as cursor:
        cursor.execute(REST, {**row, "since": now - IN_A_ROW_WITHIN, "until": now + LONGEST_REST})
        in_a_row = cursor.fetchone()[0]
        pause = error_table.pause_seconds(in_a_row, steps_seconds=REST_SECONDS)
        cursor.execute(REST_UNTIL, [now + timedelta(seconds=pause), underlying])
    tell = log.error if in_a_row == TELL_PEOPLE_AFTER else log.warning
    tell("coin rests", coin=underlying, why=why, seconds=round(pause, 2), in_a_row=in_a_row)
    wakeups.call_in(pause, chain_of(underlying))
