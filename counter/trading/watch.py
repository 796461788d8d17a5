"""The feed's watch: with every tick each coin is measured, and judged by it."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db import close_old_connections, transaction

from counter.circuit_breaker import Reason
from counter.trading import judgements
from counter.trading.status import NEWEST_QUOTES
from counter.trading.unsettled import Unsettled, read_unsettled
from infra.coordination.ages import age, lies_ahead
from infra.coordination.leadership import LeadershipLost, Term
from infra.db.rows import rows_of
from infra.db.transient_errors import is_transient
from infra.observability.troubles import Trouble
from ledger.decimals import EXACT, calculating, product

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
MILLISECOND = Decimal("0.001")
# What is unsettled is read off the indexes of the two states: milliseconds, but with 200,000 unsettled orders a tenth
# of a second. It is read again after this many times as long as it took, so that it costs no more than 2 % of a core;
# but soon, for what took long because the database hung says nothing of the next time.
UNSETTLED_PAUSE_TIMES = 50
UNSETTLED_PAUSE_AT_MOST = timedelta(seconds=10)
BookMeasures = Callable[[datetime], Mapping[str, Mapping[Reason, Decimal]]]
NO_LEAPS: Mapping[str, datetime] = {}

SEEN = f"""
    SELECT underlying, q.quoted_at, q.index_price, d.received_at, d.venue_halted_since, d.doubtful_since,
           d.doubtful_coin, d.unhedged_coin
    FROM ({NEWEST_QUOTES}) AS q FULL JOIN counter_deskcondition AS d USING (underlying)
"""  # noqa: S608 - our own


class _Seen(NamedTuple):
    """A coin's newest quote, and what the desk said last of it."""

    quoted_at: datetime | None = None
    price: Decimal | None = None
    desk_at: datetime | None = None
    venue_halted_since: datetime | None = None
    doubtful_since: datetime | None = None
    doubtful_coin: Decimal | None = None
    unhedged_coin: Decimal | None = None


class Watch:
    """Measures and judges every coin; `started_at`: since when this process would have quoted, and heard the desk.

    With a `term` it judges as long as that process leads. `book` measures the option book of the coins that have limits
    on it, by coin.
    """

    def __init__(
        self, *, started_at: datetime, term: Term | None = None, book: BookMeasures | None = None
    ) -> None:
        self._started_at = started_at
        self._term = term
        self._book = book
        self._unsettled: dict[str, Unsettled] = {}
        self._unsettled_due_at = started_at
        self._trouble = Trouble(log, "coins not judged", over="coins judged again")

    def tick(self, *, now: datetime, leaps: Mapping[str, datetime] = NO_LEAPS) -> None:
        """`judge`, for a loop that goes on after any error: coins that are not judged count as halted soon."""
        try:
            self.judge(now=now, leaps=leaps)
        except LeadershipLost:
            return  # another feed judges
        except Exception as error:  # noqa: BLE001 - the feed outlives the database
            self._trouble.met(error)
            close_old_connections()
        else:
            self._trouble.passed()

    @calculating()
    def judge(self, *, now: datetime, leaps: Mapping[str, datetime] = NO_LEAPS) -> None:
        """Judge every coin of COINS by what is measured at `now`; `leaps`: since when a coin's index leaps.

        In one transaction, or where that fails in one for each coin: those before the one that cannot be judged are.

        Raises: LeadershipLost, database errors; nothing is changed then.
        """
        self._started_at = min(self._started_at, now)  # the database's clock may have been set back
        if not now < self._unsettled_due_at <= now + UNSETTLED_PAUSE_AT_MOST:
            pause = UNSETTLED_PAUSE_TIMES * self._read_unsettled(now)
            self._unsettled_due_at = now + min(pause, UNSETTLED_PAUSE_AT_MOST)
        seen = {underlying: _Seen(*row) for underlying, *row in rows_of("default", SEEN, {"now": now})}
        paid = sum((unsettled.paid for unsettled in self._unsettled.values()), ZERO)
        book = self._book(now) if self._book else {}
        measured: judgements.Measured = {}
        for underlying in settings.COINS:
            measures = self._measures(underlying, seen.get(underlying, _Seen()), now)
            measures |= book.get(underlying, {})
            if underlying in leaps:
                measures[Reason.INDEX_LEAP] = _seconds(age(leaps[underlying], now=now))
            measured[underlying] = measures
        try:
            self._store(measured, paid, now)
        except LeadershipLost:
            raise
        except Exception as error:
            if is_transient(error) or len(measured) == 1:
                raise
            for underlying, measures in measured.items():
                self._store({underlying: measures}, paid, now)

    def _store(self, measured: judgements.Measured, paid: Decimal, now: datetime) -> None:
        with transaction.atomic():
            if self._term is not None:
                self._term.fence()
            judgements.store(measured, paid, now)

    def _read_unsettled(self, now: datetime) -> timedelta:
        """Read it, and as overdue what will be so before it is read again; how long that took."""
        started = time.monotonic()
        widen_after_seconds, _ = settings.BREAKER_AFTER_SECONDS[Reason.UNSETTLED]
        widen_after = timedelta(milliseconds=int(widen_after_seconds * 1000))
        self._unsettled = read_unsettled(overdue_before=now - widen_after + UNSETTLED_PAUSE_AT_MOST)
        return timedelta(seconds=time.monotonic() - started)

    def _measures(self, underlying: str, seen: _Seen, now: datetime) -> dict[Reason, Decimal]:
        # While no feed judged, nobody quoted either: the first quotes of this one may still be on their way, and a coin
        # that was halted for that would stay so long after. Orders read the age of a quote themselves.
        quoted_at = max(seen.quoted_at or self._started_at, self._started_at)
        unsettled = self._unsettled.get(underlying)
        ages = {
            Reason.QUOTES_STALE: quoted_at,
            Reason.DESK_SILENT: self._heard_at(seen.desk_at, now),
            Reason.VENUE_HALTED: seen.venue_halted_since,
            Reason.UNKNOWN_OUTCOME: seen.doubtful_since,
            Reason.UNSETTLED: unsettled.oldest_at if unsettled else None,
        }
        coin_of = {
            Reason.UNKNOWN_OUTCOME: seen.doubtful_coin,
            Reason.UNSETTLED: unsettled.overdue_coin if unsettled else None,
        }
        measures = {
            reason: _seconds(age(since, now=now))
            for reason, since in ages.items()
            if since is not None and _counts(reason, coin_of.get(reason), seen.price)
        }
        if seen.price is not None:
            # Neither view has all of it: what the desk has not been told, and what it has not told us.
            desks, ours = seen.unhedged_coin or ZERO, unsettled.coin if unsettled else ZERO
            measures[Reason.EXPOSURE] = product(max(desks.copy_abs(), ours.copy_abs()), seen.price)
        return measures

    def _heard_at(self, desk_at: datetime | None, now: datetime) -> datetime:
        """When the desk was heard last; what lies ahead is no sign of life."""
        if desk_at is None or lies_ahead(desk_at, now=now):
            return self._started_at
        return max(desk_at, self._started_at)


def _counts(reason: Reason, coin: Decimal | None, index: Decimal | None) -> bool:
    """Whether so much is old that its age is a cause; what nobody knows the amount of is."""
    if coin is None or index is None or reason not in settings.BREAKER_FROM_USDT:
        return True
    return product(coin, index) >= settings.BREAKER_FROM_USDT[reason]


def _seconds(passed: timedelta) -> Decimal:
    return EXACT.multiply(Decimal(passed // timedelta(milliseconds=1)), MILLISECOND)
