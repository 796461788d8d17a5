"""Every figure of the cockpit, read once for all who look: the first page of the admin and /metrics share it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import Error, connections

from audit.models import AuditRun
from cockpit import clocks, expiries, pipeline, rollup, stakes
from cockpit.clocks import Clocks
from cockpit.expiries import Expiries
from cockpit.histogram import percentile_seconds, since
from cockpit.models import QueueDepth, Tally
from cockpit.pipeline import Stage
from cockpit.sharing import Shared
from cockpit.stakes import Stake
from counter.circuit_breaker import Limit, Reason
from counter.models import IndexRejection, ResumeRequest, StreamProcess, TradingStatus, TradingSwitch
from counter.stream import stream_processes
from counter.trading.resume_requests import waiting_requests
from counter.trading.status import limits_of, trading_by_coin
from counter.trading.switches import stopped
from counter.webhooks.lateness import EndpointsWaiting, endpoints_waiting
from infra.broker.canary import Trip, trips
from infra.coordination.leases import Leader, leaders
from infra.db.rows import rows_of
from infra.db.transient_errors import is_transient
from ledger.decimals import product, quotient
from settlement.models import Conversion, VenueHalt
from settlement.venues.halts import all_standing

log = structlog.get_logger(__name__)

RATE_OVER = timedelta(minutes=1)
RECENT = timedelta(minutes=5)
DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)
BUDGET_OVER = timedelta(seconds=10)
BASIS_POINT, HUNDREDTH = Decimal("0.0001"), Decimal("0.01")

SERIES = """
    SELECT DISTINCT ON (date_trunc('minute', at)) as_of, accepted, synced, settled, reported
    FROM cockpit_tally WHERE at > %s ORDER BY date_trunc('minute', at), at DESC
"""
SUBMITTED = "SELECT count(*) FROM settlement_attempt WHERE id > %s AND call = 'submit' AND sent_at > %s"
# Counted while that is quick; of more the last ANALYZE has an estimate.
STORED = """
    SELECT CASE WHEN reltuples > %(counted)s THEN reltuples::bigint ELSE (
        SELECT count(*) FROM (SELECT FROM counter_syncorder LIMIT %(counted)s) AS few) END
    FROM pg_class WHERE oid = 'counter_syncorder'::regclass
"""
COUNTED_ORDERS = 20_000
OPEN_CONFLICTS = "SELECT count(*), min(noted_at) FROM acceptance_conflict WHERE resolved_at IS NULL"
REQUESTED = """
    SELECT count(*), min(requested_at) FROM (
        SELECT requested_at FROM settlement_intervention WHERE state = 'REQUESTED'
        UNION ALL
        SELECT requested_at FROM settlement_batch WHERE state = 'REQUESTED'
    ) AS waiting
"""
PAYMENTS = "SELECT count(*), min(requested_at) FROM settlement_clearingpayment WHERE state = 'REQUESTED'"
OPEN_BREAKS = "SELECT count(*), min(since) FROM settlement_reconciliationbreak WHERE state = 'OPEN'"
# The last one that could compare everything, among those of the last two days.
RECONCILED = """
    SELECT max(at) FROM (SELECT at, unchecked FROM settlement_reconciliationrun ORDER BY id DESC LIMIT 1000) AS newest
    WHERE unchecked = ''
"""
LATE_WORDS = "SELECT count(*), min(heard_at) FROM counter_lateword WHERE state = 'OPEN'"
DAYS = "SELECT count(*), min(coalesce(stepped_at, asked_at)) FROM cockpit_daywork WHERE ended_at IS NULL"
MEASURES_OF_BOOK = {Reason.BOOK_DELTA: "book_delta_usdt", Reason.BOOK_VEGA: "book_vega_usdt"}
STEPS = ("accepted", "synced", "settled", "reported")

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Point:
    """Orders a minute at each step, over the minute or so that ended at `at`."""

    at: datetime
    rates: dict[str, float]


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from an order's acceptance to its settlement, of `orders`; `above` is what the venue did not take."""

    orders: int
    p50: float | None
    p99: float | None
    above_p50: float | None
    above_p99: float | None


@dataclass(frozen=True, slots=True)
class Coin:
    """How a coin is traded, and its unhedged USDT against the two limits; None where nobody has measured it."""

    coin: str
    state: str
    since: datetime | None
    reasons: tuple[str, ...]
    spread_rate: Decimal | None
    exposure: Decimal | None
    widen_from: Decimal
    halt_from: Decimal
    book: tuple["BookLimit", ...] = ()


@dataclass(frozen=True, slots=True)
class BookLimit:
    """A limit on a coin's option book, USDT, and what the coin was judged by; None where nobody has measured it."""

    reason: Reason
    measure: Decimal | None
    limit: Limit


@dataclass(frozen=True, slots=True)
class Result:
    """USDT of the last day, or since the first rollup; gains are positive."""

    since: datetime
    turnover: Decimal
    spread: Decimal
    slippage: Decimal
    carry: Decimal
    fees: Decimal
    rounding: Decimal

    @property
    def net(self) -> Decimal:
        """What is left of all of it."""
        return self.spread + self.slippage + self.carry + self.fees + self.rounding

    @property
    def slippage_bp(self) -> Decimal | None:
        """Slippage in basis points of the turnover, to two decimals."""
        if not self.turnover:
            return None
        return quotient(
            self.slippage, product(self.turnover, BASIS_POINT), unit=HUNDREDTH, rounding=ROUND_HALF_EVEN
        )


@dataclass(frozen=True, slots=True)
class Call:
    """Venue calls of one kind that ended alike."""

    call: str
    outcome: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class Desk:
    """What only the desk's database tells."""

    stages: list[Stage]
    leaders: list[Leader]
    halt: VenueHalt | None
    orders_in_10s: int
    conflicts: int
    oldest_conflict_at: datetime | None
    requests: int  # of interventions that a second person has to decide
    oldest_request_at: datetime | None
    payments: int  # of clearing, that a second person has to decide
    oldest_payment_at: datetime | None
    breaks: int  # that no reconciliation has found balanced
    oldest_break_at: datetime | None
    reconciled_at: datetime | None  # when everything could last be compared


@dataclass(frozen=True, slots=True)
class SystemSnapshot:
    """All there is to see at one moment. `desk` is None while the desk's database does not answer."""

    at: datetime
    took_seconds: float
    totals: Tally | None
    rates: dict[str, float] | None
    series: list[Point]
    latency: Latency | None
    result: Result | None
    recent_calls: list[Call]
    stored_orders: int
    counter_stages: list[Stage]
    coins: list[Coin]
    expiries: Expiries
    trips: list[Trip]
    leaders: list[Leader]
    queues: list[QueueDepth]
    streams: list[StreamProcess]
    webhooks: list[EndpointsWaiting]
    audit: AuditRun | None
    stops: list[TradingSwitch]
    resume_requests: dict[str, list[ResumeRequest]]  # by the coin of the switch
    rejections: list[IndexRejection]
    late_words: int  # of the wallet service, against what people have decided
    oldest_late_word_at: datetime | None
    days: int  # that are to be stated or closed, in the hands of a worker
    oldest_day_at: (
        datetime | None
    )  # when a worker last came a step further with one of them, or it was asked for
    clocks: Clocks
    desk: Desk | None
    stakes: dict[tuple[str, str], Stake]  # of what is stuck, by kind and state

    @property
    def stages(self) -> list[Stage]:
        """The unfinished states of both systems, in the order of an order's way."""
        return self.counter_stages + (self.desk.stages if self.desk else [])


def read(*, now: datetime) -> SystemSnapshot:
    """Read everything, and count on first if that is due.

    Raises: DatabaseError when counter's database does not answer.
    """
    started = time.monotonic()
    _if_it_answers(lambda: rollup.take_if_due(now=now))
    newest = rollup.newest()
    counter_stages = pipeline.counter_stages(now=now)
    desk = _if_it_answers(lambda: _desk(now))
    stops = stopped()
    [(late_words, oldest_late_word_at)] = rows_of("default", LATE_WORDS)
    [(days, oldest_day_at)] = rows_of("default", DAYS)
    return SystemSnapshot(
        at=now,
        totals=newest,
        rates=_rates(newest, rollup.at_or_before(newest.at - RATE_OVER)) if newest else None,
        series=_series(now),
        latency=_latency(newest) if newest else None,
        result=_result(newest) if newest else None,
        recent_calls=_recent_calls(newest) if newest else [],
        stored_orders=rows_of("default", STORED, {"counted": COUNTED_ORDERS})[0][0],
        counter_stages=counter_stages,
        coins=_coins(now),
        expiries=expiries.read(now=now),
        trips=trips(),
        leaders=leaders(using="default"),
        queues=list(QueueDepth.objects.order_by("queue")),
        streams=stream_processes.alive(now=now),
        webhooks=endpoints_waiting(),
        audit=AuditRun.objects.order_by("-id").first(),
        stops=list(stops.values()),
        resume_requests=waiting_requests(stops),
        late_words=late_words,
        oldest_late_word_at=oldest_late_word_at,
        days=days,
        oldest_day_at=oldest_day_at,
        rejections=list(IndexRejection.objects.order_by("source", "underlying", "cause")),
        clocks=clocks.read(),
        desk=desk,
        stakes=_stakes(counter_stages, desk),
        took_seconds=time.monotonic() - started,
    )


shared = Shared(read)


def _stakes(counter_stages: list[Stage], desk: Desk | None) -> dict[tuple[str, str], Stake]:
    """Read only where something has been in such a state for a while: what passes through it is no alert."""
    found: dict[tuple[str, str], Stake] = {}
    if any(stage.kind == "withdrawal" and stage.count for stage in counter_stages):
        found["withdrawal", "RESERVED"] = stakes.of_withdrawals()
    stuck = [
        stage.state
        for stage in (desk.stages if desk else [])
        if stage.kind == "conversion" and stage.state in stakes.STUCK and _is_old(stage)
    ]
    if stuck:
        conversions = _if_it_answers(lambda: stakes.of_conversions(stuck)) or {}
        found |= {("conversion", state): stake for state, stake in conversions.items()}
    return found


def _is_old(stage: Stage) -> bool:
    return stage.state == Conversion.State.MANUAL or (stage.oldest_seconds or 0) > stakes.STUCK_AFTER_SECONDS


def _if_it_answers(ask: Callable[[], Found]) -> Found | None:
    """What the desk's database says; None, and a new connection for the next time, if it says nothing."""
    try:
        return ask()
    except Error as error:
        if not is_transient(error):
            raise
        log.warning("the desk's figures cannot be read", error=repr(error))
        connections["desk"].close()
        return None


def _rates(later: Tally, earlier: Tally | None) -> dict[str, float] | None:
    """Orders a minute at each step between two rollups."""
    minutes = (later.as_of - earlier.as_of) / RATE_OVER if earlier else 0
    if not earlier or minutes <= 0:
        return None
    return {step: (getattr(later, step) - getattr(earlier, step)) / minutes for step in STEPS}


def _series(now: datetime) -> list[Point]:
    rows = rows_of("default", SERIES, [now - HOUR - RATE_OVER])
    points = []
    for (before, *earlier), (at, *later) in pairwise(rows):
        minutes = (at - before) / RATE_OVER
        if minutes > 0:
            totals = zip(STEPS, earlier, later, strict=True)
            points.append(Point(at, {step: (new - old) / minutes for step, old, new in totals}))
    return points


def _latency(newest: Tally) -> Latency:
    earlier = rollup.at_or_before(newest.at - RECENT) or newest
    settle = since(newest.settle_counts, earlier.settle_counts)
    above = since(newest.above_venue_counts, earlier.above_venue_counts)
    return Latency(
        sum(settle),
        percentile_seconds(settle, 0.5),
        percentile_seconds(settle, 0.99),
        percentile_seconds(above, 0.5),
        percentile_seconds(above, 0.99),
    )


def _result(newest: Tally) -> Result:
    earlier = rollup.at_or_before(newest.at - DAY) or newest
    names = ("turnover", "spread", "slippage", "carry", "fees", "rounding")
    return Result(earlier.as_of, *(getattr(newest, name) - getattr(earlier, name) for name in names))


def _recent_calls(newest: Tally) -> list[Call]:
    earlier = rollup.at_or_before(newest.at - RECENT) or newest
    before = {(call, outcome, code): count for call, outcome, code, count in earlier.calls}
    new = (
        Call(call, outcome, code, count - before.get((call, outcome, code), 0))
        for call, outcome, code, count in newest.calls
    )
    return sorted((call for call in new if call.count), key=lambda call: -call.count)


def _coins(now: datetime) -> list[Coin]:
    traded = trading_by_coin(now=now)
    judged = {status.underlying: status for status in TradingStatus.objects.all()}
    found = []
    for coin in settings.COINS:
        limits = limits_of(coin)
        limit = limits[Reason.EXPOSURE]
        trading, status = traded.get(coin), judged.get(coin)
        found.append(
            Coin(
                coin=coin,
                state=str(trading.state) if trading else "",
                since=status.since if status else None,
                reasons=tuple(map(str, trading.reasons)) if trading else (),
                spread_rate=trading.spread_rate if trading else None,
                exposure=status.exposure_usdt if status else None,
                widen_from=limit.widen_from,
                halt_from=limit.halt_from,
                book=tuple(
                    BookLimit(reason, getattr(status, measured, None), limits[reason])
                    for reason, measured in MEASURES_OF_BOOK.items()
                    if reason in limits
                ),
            )
        )
    return found


def _desk(now: datetime) -> Desk:
    [(conflicts, oldest_conflict_at)] = rows_of("desk", OPEN_CONFLICTS)
    [(requests, oldest_request_at)] = rows_of("desk", REQUESTED)
    [(payments, oldest_payment_at)] = rows_of("desk", PAYMENTS)
    [(breaks, oldest_break_at)] = rows_of("desk", OPEN_BREAKS)
    window_began = rollup.at_or_before(now - BUDGET_OVER)
    after = window_began.seen_attempt if window_began else 0
    return Desk(
        stages=pipeline.desk_stages(now=now),
        leaders=leaders(using="desk"),
        halt=next(iter(all_standing(settings.VENUE)), None),
        orders_in_10s=rows_of("desk", SUBMITTED, [after, now - BUDGET_OVER])[0][0],
        conflicts=conflicts,
        oldest_conflict_at=oldest_conflict_at,
        requests=requests,
        payments=payments,
        oldest_payment_at=oldest_payment_at,
        breaks=breaks,
        oldest_break_at=oldest_break_at,
        reconciled_at=rows_of("desk", RECONCILED)[0][0],
        oldest_request_at=oldest_request_at,
    )
