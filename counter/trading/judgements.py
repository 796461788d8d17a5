"""Judgements on how coins are traded: made on their locked rows by what was measured, and kept with their history.

Guards the order of time as quotes do: a judgement that is older than the one stored changes nothing, unless that one
lies ahead.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any

import structlog
from django.conf import settings
from django.db import connection

from counter.circuit_breaker import IN_USDT, BreakerStatus, Limit, Reason, State, judge
from counter.models import TradingStatus, TradingStatusChange
from counter.trading.status import limits_of
from counter.trading.switches import stops_of
from infra.coordination import clock
from infra.coordination.ages import lies_ahead
from infra.db.arrays import array
from infra.db.lifecycles import moves
from ledger.decimals import rounded

log = structlog.get_logger(__name__)

BY = "feed"
USDT_UNIT = Decimal("0.000001")
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
Measured = dict[str, dict[Reason, Decimal]]  # by coin and cause
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


def store(measured: Measured, paid: Decimal, now: datetime) -> None:
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
        "spread_rate": _spread_rate_of(after.state),
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


def _spread_rate_of(state: State) -> Decimal:
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


def _usdt(measure: Decimal | None) -> Decimal | None:
    return None if measure is None else rounded(measure, USDT_UNIT, ROUND_UP)
