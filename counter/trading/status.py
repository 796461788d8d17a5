"""How each coin is traded: judged by the feed with every tick, kept with its history, read wherever a price is shown.

Guards the order of time as quotes do: a judgement that is older than the one stored changes nothing, unless that one
lies ahead.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any

import structlog
from django.conf import settings
from django.db import close_old_connections, connection, transaction

from counter.circuit_breaker import IN_USDT, BreakerStatus, Limit, Reason, State, TradingTerms, judge
from counter.models import DeskCondition, TradingStatus, TradingStatusChange, TradingSwitch
from counter.pricing.impact import CoinBook
from counter.trading.depths import impact_rates, read_books
from counter.trading.switches import stops_of
from counter.trading.unsettled import Unsettled, read_unsettled
from infra.coordination import clock
from infra.coordination.ages import AHEAD_INTERVAL, age, lies_ahead
from infra.coordination.leadership import LeadershipLost, Term
from infra.db.arrays import array
from infra.db.lifecycles import moves
from infra.db.rows import rows_of
from infra.db.transient_errors import is_transient
from infra.observability.troubles import Trouble
from ledger.decimals import EXACT, calculating, product, rounded

log = structlog.get_logger(__name__)

BY = "feed"
ZERO = Decimal(0)
MILLISECOND = Decimal("0.001")
USDT_UNIT = Decimal("0.000001")
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# What is unsettled is read off the indexes of the two states: milliseconds, but with 200,000 unsettled orders a tenth
# of a second. It is read again after this many times as long as it took, so that it costs no more than 2 % of a core;
# but soon, for what took long because the database hung says nothing of the next time.
UNSETTLED_PAUSE_TIMES = 50
UNSETTLED_PAUSE_AT_MOST = timedelta(seconds=10)
BookMeasures = Callable[[datetime], Mapping[str, Mapping[Reason, Decimal]]]
Measured = dict[str, dict[Reason, Decimal]]  # by coin and cause
NO_LEAPS: Mapping[str, datetime] = {}
NEWEST_QUOTES = f"""
    SELECT DISTINCT ON (o.underlying) o.underlying, q.quoted_at, q.index_price
    FROM counter_option AS o JOIN counter_quote AS q ON q.option_id = o.id
    WHERE o.expires_at > %(now)s AND q.quoted_at <= %(now)s + {AHEAD_INTERVAL}
    ORDER BY o.underlying, q.quoted_at DESC
"""  # noqa: S608 - our own
KEPT = {
    "underlying": "varchar",
    "spread_rate": "numeric",
    "reasons": "text",
    "why": "text",
    "exposure_usdt": "numeric",
    "book_delta_usdt": "numeric",
    "book_vega_usdt": "numeric",
    "payout_float_usdt": "numeric",
    "pays_at_once": "boolean",
    "stop": "varchar",
    "easing_since": "timestamptz",
    "judged_at": "timestamptz",
}
KEEP = f"""
    UPDATE counter_tradingstatus AS t SET spread_rate = v.spread_rate, reasons = v.reasons::varchar[], why = v.why,
        exposure_usdt = v.exposure_usdt, book_delta_usdt = v.book_delta_usdt, book_vega_usdt = v.book_vega_usdt,
        payout_float_usdt = v.payout_float_usdt, pays_at_once = v.pays_at_once, stop = v.stop,
        easing_since = v.easing_since, judged_at = v.judged_at
    FROM unnest({", ".join(f"%s::{kind}[]" for kind in KEPT.values())}) AS v({", ".join(KEPT)})
    WHERE t.underlying = v.underlying
"""  # noqa: S608 - our own
TRANSITIONS = {
    State.WIDE: TradingStatus.widen,
    State.HALTED: TradingStatus.halt,
    State.NORMAL: TradingStatus.reopen,
}


@dataclass(frozen=True, slots=True)
class Trading:
    """How a coin is traded at one moment; `spread_rate` is None for a coin that has never been judged.

    `takes_closes` is False while a person has stopped closing as well; `book` is there where size is charged for.
    """

    state: State = State.NORMAL
    spread_rate: Decimal | None = None
    reasons: tuple[str, ...] = ()
    takes_closes: bool = True
    book: CoinBook | None = None


def trading_by_coin(*, now: datetime) -> dict[str, Trading]:
    """How each coin that was judged or stopped is traded; one that is stopped, or that nobody watches, is halted."""
    current = terms()
    found = {}
    statuses = list(TradingStatus.objects.all())
    charging = any(status.delta_depth or status.vega_depth or status.premium_depth for status in statuses)
    books = read_books() if charging else {}
    for status in statuses:
        state, reasons = State(status.state), tuple(status.reasons)
        if not current.takes_opens(state=state, judged_at=status.judged_at, now=now):
            reasons = reasons if state is State.HALTED else (Reason.UNWATCHED,)
            state = State.HALTED
        if status.stop != TradingSwitch.State.RUNNING:
            state, reasons = State.HALTED, (Reason.TRADING_STOPPED, *reasons)
        takes_closes = status.stop != TradingSwitch.State.ALL_STOPPED
        found[status.underlying] = Trading(
            state, status.spread_rate, reasons, takes_closes, books.get(status.underlying)
        )
    return found


def newest_index(underlying: str, *, now: datetime) -> Decimal | None:
    """The index at which a living option of the coin was quoted last, USDT for one coin; None where none was."""
    newest = {coin: index for coin, _, index in rows_of("default", NEWEST_QUOTES, {"now": now})}
    return newest.get(underlying)


def terms() -> TradingTerms:
    """The terms of all coins, as the settings have them."""
    # A judgement is made with every quote, so it may be as old as quotes may be.
    _, unwatched_after_seconds = settings.BREAKER_AFTER_SECONDS[Reason.QUOTES_STALE]
    return TradingTerms(
        spread_rate=settings.SPREAD_RATE,
        wide_spread_rate=settings.WIDE_SPREAD_RATE,
        stale_after=timedelta(seconds=settings.QUOTE_STALE_AFTER_SECONDS),
        close_stale_after=timedelta(seconds=settings.CLOSE_STALE_AFTER_SECONDS),
        unwatched_after=timedelta(milliseconds=int(unwatched_after_seconds * 1000)),
        price_tolerance_rate=settings.PRICE_TOLERANCE_RATE,
        opens_end_before=timedelta(seconds=settings.OPENS_END_BEFORE_EXPIRY_SECONDS),
        impact_rates=impact_rates(),
    )


def limits_of(underlying: str) -> dict[Reason, Limit]:
    """The limits of a coin by cause, in the unit of its measure; the book's are there where they are set."""
    limits = {Reason(cause): Limit(*pair) for cause, pair in settings.BREAKER_AFTER_SECONDS.items()}
    limits[Reason.EXPOSURE] = Limit(*settings.BREAKER_EXPOSURE_USDT[underlying])
    for reason, by_coin in (
        (Reason.BOOK_DELTA, settings.BREAKER_BOOK_DELTA_USDT),
        (Reason.BOOK_VEGA, settings.BREAKER_BOOK_VEGA_USDT),
    ):
        if underlying in by_coin:
            limits[reason] = Limit(*by_coin[underlying])
    return limits


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
        with connection.cursor() as cursor:
            cursor.execute(NEWEST_QUOTES, {"now": now})
            quotes = {underlying: (quoted_at, index) for underlying, quoted_at, index in cursor.fetchall()}
        paid = sum((unsettled.paid for unsettled in self._unsettled.values()), ZERO)
        told = {condition.underlying: condition for condition in DeskCondition.objects.all()}
        book = self._book(now) if self._book else {}
        measured: Measured = {}
        for underlying in settings.COINS:
            measures = self._measures(underlying, quotes.get(underlying), told.get(underlying), now)
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

    def _store(self, measured: Measured, paid: Decimal, now: datetime) -> None:
        with transaction.atomic():
            if self._term is not None:
                self._term.fence()
            _store(measured, paid, now)

    def _read_unsettled(self, now: datetime) -> timedelta:
        """Read it, and as overdue what will be so before it is read again; how long that took."""
        started = time.monotonic()
        widen_after_seconds, _ = settings.BREAKER_AFTER_SECONDS[Reason.UNSETTLED]
        widen_after = timedelta(milliseconds=int(widen_after_seconds * 1000))
        self._unsettled = read_unsettled(overdue_before=now - widen_after + UNSETTLED_PAUSE_AT_MOST)
        return timedelta(seconds=time.monotonic() - started)

    def _measures(
        self,
        underlying: str,
        quote: tuple[datetime, Decimal] | None,
        told: DeskCondition | None,
        now: datetime,
    ) -> dict[Reason, Decimal]:
        quoted_at, index = quote or (self._started_at, None)
        # While no feed judged, nobody quoted either: the first quotes of this one may still be on their way, and a coin
        # that was halted for that would stay so long after. Orders read the age of a quote themselves.
        quoted_at = max(quoted_at, self._started_at)
        unsettled = self._unsettled.get(underlying)
        ages = {
            Reason.QUOTES_STALE: quoted_at,
            Reason.DESK_SILENT: self._heard_at(told, now),
            Reason.VENUE_HALTED: told.venue_halted_since if told else None,
            Reason.UNKNOWN_OUTCOME: told.doubtful_since if told else None,
            Reason.UNSETTLED: unsettled.oldest_at if unsettled else None,
        }
        coin_of = {
            Reason.UNKNOWN_OUTCOME: told.doubtful_coin if told else None,
            Reason.UNSETTLED: unsettled.overdue_coin if unsettled else None,
        }
        measures = {
            reason: _seconds(age(since, now=now))
            for reason, since in ages.items()
            if since is not None and _counts(reason, coin_of.get(reason), index)
        }
        if index is not None:
            # Neither view has all of it: what the desk has not been told, and what it has not told us.
            desks = told.unhedged_coin if told else ZERO
            ours = unsettled.coin if unsettled else ZERO
            measures[Reason.EXPOSURE] = product(max(desks.copy_abs(), ours.copy_abs()), index)
        return measures

    def _heard_at(self, told: DeskCondition | None, now: datetime) -> datetime:
        """When the desk was heard last; what lies ahead is no sign of life."""
        if told is None or lies_ahead(told.received_at, now=now):
            return self._started_at
        return max(told.received_at, self._started_at)


def _counts(reason: Reason, coin: Decimal | None, index: Decimal | None) -> bool:
    """Whether so much is old that its age is a cause; what nobody knows the amount of is."""
    if coin is None or index is None or reason not in settings.BREAKER_FROM_USDT:
        return True
    return product(coin, index) >= settings.BREAKER_FROM_USDT[reason]


def _usdt(measure: Decimal | None) -> Decimal | None:
    return None if measure is None else rounded(measure, USDT_UNIT, ROUND_UP)


def _seconds(passed: timedelta) -> Decimal:
    return EXACT.multiply(Decimal(passed // timedelta(milliseconds=1)), MILLISECOND)


def _store(measured: Measured, paid: Decimal, now: datetime) -> None:
    """Judge coins on their locked rows, and keep what changed, in the caller's transaction.

    `paid` is the USDT of all coins that customers were paid at once and whose orders are not settled.
    """
    statuses = _locked(sorted(measured), now)
    stops = stops_of(measured)  # read under the rows' locks, which throwing a switch takes too
    kept: list[dict[str, Any]] = []
    # By the database's clock as well: who was held up on the way here is only late.
    latest = max(now, clock.of("default").now())
    for status in statuses:
        underlying = status.underlying
        if lies_ahead(status.judged_at, now=latest):
            log.warning(
                "a coin was judged in the future: a clock was wrong", coin=underlying, at=status.judged_at
            )
        elif status.judged_at >= now:
            continue
        after, changes = _judged(status, measured[underlying], now)
        changes |= {"stop": stops[underlying], "payout_float_usdt": paid, "judged_at": now}
        changes["pays_at_once"] &= paid < settings.INSTANT_PAYOUT_FLOAT_USDT
        if after.state != status.state:
            _move(status, after.state, changes, now)
        else:
            kept.append({"underlying": underlying, **changes})
    if kept:
        with connection.cursor() as cursor:
            cursor.execute(KEEP, [array([_stored(row[name]) for row in kept]) for name in KEPT])


def _judged(
    status: TradingStatus, measures: Mapping[Reason, Decimal], now: datetime
) -> tuple[BreakerStatus, dict[str, Any]]:
    """A coin's standing by what was measured, and what its row says of it."""
    limits = limits_of(status.underlying)
    reasons = tuple(reason for reason in Reason if reason in status.reasons)
    after = judge(
        before=BreakerStatus(State(status.state), reasons, status.easing_since),
        measures=measures,
        limits=limits,
        reopen_below=settings.REOPEN_BELOW_RATE,
        reopen_after=timedelta(seconds=settings.REOPEN_AFTER_SECONDS),
        now=now,
    )
    return after, {
        "spread_rate": spread_rate_of(after.state),
        "reasons": list(map(str, after.reasons)),
        "why": _why(after, measures, limits),
        "exposure_usdt": _usdt(measures.get(Reason.EXPOSURE)),
        "book_delta_usdt": _usdt(measures.get(Reason.BOOK_DELTA)),
        "book_vega_usdt": _usdt(measures.get(Reason.BOOK_VEGA)),
        "pays_at_once": Reason.INDEX_LEAP not in after.reasons,
        "easing_since": after.easing_since,
    }


def _stored(value: Any) -> Any:
    """An array within an array is its literal."""
    return array(value) if isinstance(value, list) else value


def spread_rate_of(state: State) -> Decimal:
    """A fraction of an order's fair value."""
    return settings.SPREAD_RATE if state is State.NORMAL else settings.WIDE_SPREAD_RATE


def _locked(coins: Sequence[str], now: datetime) -> list[TradingStatus]:
    """The coins' rows, locked in their order; one that has never been judged begins as usual, also when two judge it
    at once.
    """
    rows = TradingStatus.objects.select_for_update().filter(underlying__in=coins).order_by("underlying")
    found = list(rows)
    if len(found) < len(coins):
        new = {"spread_rate": settings.SPREAD_RATE, "since": now, "judged_at": NEVER}
        for underlying in coins:
            made, is_new = TradingStatus.objects.get_or_create(underlying=underlying, defaults=new)
            if is_new:
                _record(made, from_state="", changes={}, now=now)
        found = list(rows.all())
    return found


@moves(TradingStatus.widen)
@moves(TradingStatus.halt)
@moves(TradingStatus.reopen)
def _move(status: TradingStatus, to: State, changes: dict[str, Any], now: datetime) -> None:
    from_state = status.state
    TRANSITIONS[to](status)
    changes = {**changes, "since": now}
    for name, value in changes.items():
        setattr(status, name, value)
    status.save(update_fields=["state", *changes])
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


def _why(standing: BreakerStatus, measures: Mapping[Reason, Decimal], limits: Mapping[Reason, Limit]) -> str:
    """For people: each cause with its measure and its limits."""
    parts = []
    for reason in standing.reasons:
        if reason in measures:
            unit = "USDT" if reason in IN_USDT else "s"
            limit = limits[reason]
            parts.append(
                f"{reason} {measures[reason]:.1f} {unit} (limits {limit.widen_from:f}, {limit.halt_from:f})"
            )
        else:
            parts.append(str(reason))
    return "; ".join(parts)
