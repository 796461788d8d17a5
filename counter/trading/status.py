"""How each coin is traded: judged by the feed with every tick, kept with its history, read by whoever shows a price.

Guards the order of time as quotes do: a judgement that is older than the one stored changes nothing.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any

import structlog
from django.conf import settings
from django.db import close_old_connections, connection, transaction

from config.leadership import LeadershipLost, Term
from config.transitions import move
from counter.containment import Limit, Reason, Standing, State, Terms, judge
from counter.models import DeskCondition, TradingStatus, TradingStatusChange, TradingSwitch
from counter.trading.trading_switches import stop_of
from counter.trading.unsettled import Unsettled, read_unsettled

log = structlog.get_logger(__name__)

BY = "feed"
ZERO = Decimal(0)
USDT_UNIT = Decimal("0.000001")
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# What is unsettled is read off the indexes of the two states: milliseconds, but with 200,000 unsettled orders a tenth
# of a second. It is read again after this many times as long as it took, so that it costs no more than 2 % of a core;
# but soon, for what took long because the database hung says nothing of the next time.
UNSETTLED_PAUSE_TIMES = 50
UNSETTLED_PAUSE_AT_MOST = timedelta(seconds=10)
NEWEST_QUOTES = """
    SELECT DISTINCT ON (o.underlying) o.underlying, q.quoted_at, q.index_price
    FROM counter_option AS o JOIN counter_quote AS q ON q.option_id = o.id
    WHERE o.expires_at > %s ORDER BY o.underlying, q.quoted_at DESC
"""
TRANSITIONS = {
    State.WIDE: TradingStatus.widen,
    State.HALTED: TradingStatus.halt,
    State.NORMAL: TradingStatus.reopen,
}


@dataclass(frozen=True, slots=True)
class Trading:
    """How a coin is traded at one moment; `spread_rate` is None for a coin that has never been judged.

    `takes_closes` is False while a person has stopped closing as well.
    """

    state: State = State.NORMAL
    spread_rate: Decimal | None = None
    reasons: tuple[str, ...] = ()
    takes_closes: bool = True


def trading_by_coin(*, now: datetime) -> dict[str, Trading]:
    """How each coin that was judged or stopped is traded; one that is stopped, or that nobody watches, is halted."""
    current = terms()
    found = {}
    for status in TradingStatus.objects.all():
        state, reasons = State(status.state), tuple(status.reasons)
        if not current.takes_opens(state=state, judged_at=status.judged_at, now=now):
            reasons = reasons if state is State.HALTED else (Reason.UNWATCHED,)
            state = State.HALTED
        if status.stop != TradingSwitch.State.RUNNING:
            state, reasons = State.HALTED, (Reason.TRADING_STOPPED, *reasons)
        takes_closes = status.stop != TradingSwitch.State.ALL_STOPPED
        found[status.underlying] = Trading(state, status.spread_rate, reasons, takes_closes)
    return found


def terms() -> Terms:
    """The terms of all coins, as the settings have them."""
    # A judgement is made with every quote, so it may be as old as quotes may be.
    _, unwatched_after_seconds = settings.CONTAINMENT_AFTER_SECONDS[Reason.QUOTES_STALE]
    return Terms(
        spread_rate=settings.SPREAD_RATE,
        wide_spread_rate=settings.WIDE_SPREAD_RATE,
        stale_after=timedelta(seconds=settings.QUOTE_STALE_AFTER_SECONDS),
        close_stale_after=timedelta(seconds=settings.CLOSE_STALE_AFTER_SECONDS),
        unwatched_after=timedelta(milliseconds=int(unwatched_after_seconds * 1000)),
    )


def limits_of(underlying: str) -> dict[Reason, Limit]:
    """The limits of a coin by cause: seconds, and USDT of exposure."""
    limits = {Reason(cause): Limit(*pair) for cause, pair in settings.CONTAINMENT_AFTER_SECONDS.items()}
    return limits | {Reason.EXPOSURE: Limit(*settings.CONTAINMENT_EXPOSURE_USDT[underlying])}


class Watch:
    """Measures and judges every coin; `started_at`: since when this process would have heard the desk.

    With a `term` it judges as long as that process leads.
    """

    def __init__(self, *, started_at: datetime, term: Term | None = None) -> None:
        self._started_at = started_at
        self._term = term
        self._unsettled: dict[str, Unsettled] = {}
        self._unsettled_due_at = started_at

    def tick(self, *, now: datetime) -> None:
        """`judge`, for a loop that goes on whatever happens: coins that are not judged count as halted soon."""
        try:
            self.judge(now=now)
        except LeadershipLost:
            return  # another feed judges
        except Exception as error:  # noqa: BLE001 - the feed outlives the database
            log.warning("coins not judged", error=repr(error))
            close_old_connections()

    def judge(self, *, now: datetime) -> None:
        """Judge every coin of COINS by what is measured at `now`.

        Raises: LeadershipLost, database errors; nothing is changed then.
        """
        if now >= self._unsettled_due_at:
            pause = UNSETTLED_PAUSE_TIMES * self._read_unsettled()
            self._unsettled_due_at = now + min(pause, UNSETTLED_PAUSE_AT_MOST)
        with connection.cursor() as cursor:
            cursor.execute(NEWEST_QUOTES, [now])
            quotes = {underlying: (quoted_at, index) for underlying, quoted_at, index in cursor.fetchall()}
        paid = sum((unsettled.paid for unsettled in self._unsettled.values()), ZERO)
        told = {condition.underlying: condition for condition in DeskCondition.objects.all()}
        for underlying in settings.COINS:
            measures = self._measures(underlying, quotes.get(underlying), told.get(underlying), now)
            with transaction.atomic():
                if self._term is not None:
                    self._term.fence()
                _store(underlying, measures, paid, now)

    def _read_unsettled(self) -> timedelta:
        """Read it; how long that took."""
        started = time.monotonic()
        self._unsettled = read_unsettled()
        return timedelta(seconds=time.monotonic() - started)

    def _measures(
        self,
        underlying: str,
        quote: tuple[datetime, Decimal] | None,
        told: DeskCondition | None,
        now: datetime,
    ) -> dict[Reason, Decimal]:
        quoted_at, index = quote or (self._started_at, None)
        unsettled = self._unsettled.get(underlying)
        ages = {
            Reason.QUOTES_STALE: quoted_at,
            Reason.DESK_SILENT: max(told.received_at, self._started_at) if told else self._started_at,
            Reason.VENUE_HALTED: told.venue_halted_since if told else None,
            Reason.UNKNOWN_OUTCOME: told.doubtful_since if told else None,
            Reason.UNSETTLED: unsettled.oldest_at if unsettled else None,
        }
        measures = {reason: _seconds(now - since) for reason, since in ages.items() if since is not None}
        if index is not None:
            # Neither view has all of it: what the desk has not been told, and what it has not told us.
            desks = told.unhedged_coin if told else ZERO
            ours = unsettled.coin if unsettled else ZERO
            measures[Reason.EXPOSURE] = max(abs(desks), abs(ours)) * index
        return measures


def _usdt(measure: Decimal | None) -> Decimal | None:
    return None if measure is None else measure.quantize(USDT_UNIT, ROUND_UP)


def _seconds(age: timedelta) -> Decimal:
    """Never negative: clocks of two systems differ."""
    return max(Decimal(age // timedelta(milliseconds=1)) / 1000, ZERO)


def _store(underlying: str, measures: Mapping[Reason, Decimal], paid: Decimal, now: datetime) -> None:
    """Judge one coin on its locked row, and keep what changed, in the caller's transaction.

    `paid` is the USDT of all coins that customers were paid at once and whose orders are not settled.
    """
    status = _locked(underlying, now)
    if status.judged_at >= now:
        return
    limits = limits_of(underlying)
    before = Standing(State(status.state), easing_since=status.easing_since)
    after = judge(
        before=before,
        measures=measures,
        limits=limits,
        reopen_below=settings.REOPEN_BELOW_RATE,
        reopen_after=timedelta(seconds=settings.REOPEN_AFTER_SECONDS),
        now=now,
    )
    changes: dict[str, Any] = {
        "spread_rate": spread_rate_of(after.state),
        "reasons": list(map(str, after.reasons)),
        "why": _why(after, measures, limits),
        "exposure_usdt": _usdt(measures.get(Reason.EXPOSURE)),
        "payout_float_usdt": paid,
        "pays_at_once": paid < settings.INSTANT_PAYOUT_FLOAT_USDT,
        "stop": stop_of(underlying),  # read under the row's lock, which whoever throws a switch takes too
        "easing_since": after.easing_since,
        "judged_at": now,
    }
    if after.state != before.state:
        _move(status, after.state, changes, now)
    else:
        TradingStatus.objects.filter(pk=status.pk).update(**changes)


def spread_rate_of(state: State) -> Decimal:
    """A fraction of an order's fair value."""
    return settings.SPREAD_RATE if state is State.NORMAL else settings.WIDE_SPREAD_RATE


def _locked(underlying: str, now: datetime) -> TradingStatus:
    """The coin's row, locked; one that has never been judged begins as usual, whoever else judges it at this moment."""
    rows = TradingStatus.objects.select_for_update()
    status = rows.filter(underlying=underlying).first()
    if status is None:
        new = {"spread_rate": settings.SPREAD_RATE, "since": now, "judged_at": NEVER}
        made, is_new = TradingStatus.objects.get_or_create(underlying=underlying, defaults=new)
        if is_new:
            _record(made, from_state="", changes={}, now=now)
        status = rows.get(underlying=underlying)
    return status


def _move(status: TradingStatus, to: State, changes: dict[str, Any], now: datetime) -> None:
    from_state = status.state
    moved = move(TradingStatus, TRANSITIONS[to], [status.pk], same={**changes, "since": now})
    assert moved, f"{from_state} -> {to} is not declared"  # noqa: S101 - the row is locked
    status.state = to
    _record(status, from_state=from_state, changes=changes, now=now)
    level = log.info if to is State.NORMAL else log.warning
    level("trading status changed", coin=status.underlying, was=from_state, now=str(to), why=changes["why"])


def _record(status: TradingStatus, *, from_state: str, changes: dict[str, Any], now: datetime) -> None:
    TradingStatusChange.objects.create(
        underlying=status.underlying,
        from_state=from_state,
        to_state=status.state,
        spread_rate=changes.get("spread_rate", status.spread_rate),
        reasons=changes.get("reasons", status.reasons),
        why=changes.get("why", ""),
        at=now,
        by=BY,
    )


def _why(standing: Standing, measures: Mapping[Reason, Decimal], limits: Mapping[Reason, Limit]) -> str:
    """For people: each cause with its measure and its limits."""
    parts = []
    for reason in standing.reasons:
        if reason in measures:
            unit = "USDT" if reason is Reason.EXPOSURE else "s"
            limit = limits[reason]
            parts.append(
                f"{reason} {measures[reason]:.1f} {unit} (limits {limit.widen_from:f}, {limit.halt_from:f})"
            )
        else:
            parts.append(str(reason))
    return "; ".join(parts)
