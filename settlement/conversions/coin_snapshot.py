"""A coin's state before a round, read once: waiting orders, obstacles to a conversion, and the accounts."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings

from infra.db.composing import answered
from infra.db.pipeline import Statement
from settlement.book.chart import CAPITAL
from settlement.conversions import chasing

MISSED_LATELY = timedelta(seconds=2)  # longer than orders are chased
STANDING = f"""
    SELECT EXISTS (SELECT FROM acceptance_acceptedorder WHERE underlying = %s AND state = 'RECEIVED'),
           EXISTS (SELECT FROM settlement_carry WHERE underlying = %s AND abs(usdt) >= %s),
           EXISTS (SELECT FROM settlement_conversion WHERE underlying = %s AND state = 'RETRY_WAIT')
           OR EXISTS (SELECT FROM settlement_coinrest WHERE underlying = %s AND due_at > %s AND due_at < %s),
           (SELECT reason FROM settlement_venuehalt
            WHERE venue = %s AND underlying IN ('', %s) AND lifted_at IS NULL ORDER BY underlying LIMIT 1),
           EXISTS (SELECT FROM settlement_deskaccount WHERE code = '{CAPITAL}'),
           EXISTS (SELECT FROM (SELECT underlying, state, planned_at FROM settlement_conversion
                                ORDER BY id DESC LIMIT 16) AS last
                   WHERE underlying = %s AND state = 'MISSED' AND planned_at BETWEEN %s AND %s),
           ARRAY(SELECT id::text || ' ' || code || ' ' || asset FROM settlement_deskaccount)
"""  # noqa: S608 - a constant of our own

WAITING = """
    SELECT EXISTS (SELECT FROM acceptance_acceptedorder WHERE underlying = %s AND state = 'RECEIVED')
        OR EXISTS (SELECT FROM settlement_carry WHERE underlying = %s AND abs(usdt) >= %s)
"""


class CoinSnapshot(NamedTuple):
    """What waits for a coin, and what speaks against a conversion of it now.

    `is_held_up` while one waits to be sent again or the coin rests: the venue would say no once more, so orders gather.
    """

    orders: bool
    large_carry: bool  # more than CARRY_WORTH_CONVERTING_USDT, which should not wait for any order
    is_held_up: bool
    halted: str | None  # why the venue, or the coin's market there, is sent nothing
    books_are_open: bool
    missed_lately: bool  # orders of a moment ago executed nothing, and may be chased
    accounts: list[str]  # of the book, as `chart_of` takes them

    @property
    def orders_wait(self) -> bool:
        """Whether an order waits for a conversion that may be made now."""
        return self.orders and not self.is_held_up

    @property
    def needs_conversion(self) -> bool:
        """Whether an order waits, or what is carried is worth one of its own, and a conversion may be made now."""
        return (self.orders or self.large_carry) and not self.is_held_up


def of(underlying: str, *, now: datetime) -> CoinSnapshot:
    """How the coin stands."""
    least, latest = settings.CARRY_WORTH_CONVERTING_USDT, now + chasing.LONGEST_REST
    rest = [underlying, underlying, now, latest]
    missed = [underlying, now - MISSED_LATELY, now]
    asked = Statement(STANDING, [underlying, underlying, least, *rest, settings.VENUE, underlying, *missed])
    ((orders, large_carry, is_held_up, halted, books_are_open, lately, accounts),) = answered("desk", asked)
    return CoinSnapshot(orders, large_carry, is_held_up, halted, books_are_open, lately, accounts)


def anything_waits(underlying: str) -> bool:
    """Whether an order or a large carry waits, be it held up or not: a quarter of the snapshot's cost."""
    asked = Statement(WAITING, [underlying, underlying, settings.CARRY_WORTH_CONVERTING_USDT])
    return bool(answered("desk", asked)[0][0])
