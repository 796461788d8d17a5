"""Breaks through their life: kept when they are found, seen again, owned, and closed by what has balanced them.

Guards: nobody closes one by hand. It is closed only by a run that compared it, found it balanced, and can say by what.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from infra.db.lifecycles import moves
from settlement.models import ReconciliationBreak
from settlement.reconciliation.closing import ACCEPTABLE, CORRECTED, what_balances
from settlement.reconciliation.findings import Finding, Result, Trace
from settlement.venues import state_history
from settlement.venues.state_history import MovedMeanwhile

log = structlog.get_logger(__name__)

BY = "reconciliation"


def keep(findings: Iterable[Finding], *, versions: Mapping[int, int], now: datetime) -> int:
    """Note each as a break, or as seen again; how many are new. A waiting request is void if its figures changed.

    `versions` are those of the open breaks when it was looked: what people have booked since, the findings know nothing
    of, and the next run sees that break again.
    """
    found = 0
    for finding in findings:
        known = ReconciliationBreak.objects.filter(
            what=finding.what, where=finding.where, state=ReconciliationBreak.State.OPEN
        ).first()
        if known is None:
            made = _break_of(finding, now)
            with transaction.atomic(using="desk"):
                state_history.begin(made, at=now, by=BY)
            log.error("reconciliation break", what=made.what, where=made.where, detail=made.detail)
            found += 1
        elif versions.get(known.pk) == known.version:
            _see_again(known, finding, now)
    return found


def _break_of(finding: Finding, now: datetime) -> ReconciliationBreak:
    trace = finding.trace or Trace()
    return ReconciliationBreak(
        what=finding.what,
        where=finding.where,
        detail=finding.detail,
        asset=trace.asset,
        amount=trace.amount,
        conversion_id=trace.conversion_id,
        order_id=trace.order_id,
        symbol=trace.symbol,
        venue_trade_id=trace.venue_trade_id,
        venue_transfer_id=trace.venue_transfer_id,
        account=trace.account,
        effect=_effect(trace),
        since=trace.since or now,
        found_at=now,
        seen_at=now,
    )


def _effect(trace: Trace) -> list[list[str]]:
    return [[account, asset, str(amount)] for account, asset, amount in trace.effect]


def _see_again(known: ReconciliationBreak, finding: Finding, now: datetime) -> None:
    trace = finding.trace or Trace()
    changed: dict[str, Any] = {"detail": finding.detail, "amount": trace.amount, "effect": _effect(trace)}
    is_other = known.effect != changed["effect"] or known.amount != trace.amount
    if known.what in CORRECTED:
        changed["written_off_at"] = None  # it was not enough: what moved since may be written off as well
    if known.what in ACCEPTABLE:
        changed["accepted_at"] = None  # that was of other figures
        is_other = known.detail != finding.detail
    ReconciliationBreak.objects.filter(pk=known.pk, version=known.version).update(
        seen_at=now, version=known.version + is_other, **changed
    )


@moves(ReconciliationBreak.close)
def close_balanced(result: Result, *, whats: Iterable[str], now: datetime) -> int:
    """Close the open breaks of these kinds that a whole comparison no longer shows, where it is known by what.

    What moves too much to tell, or was cut off a list, stays open.
    """
    shown = (result.broken, result.in_flight)
    if result.unchecked or any(found.total > len(found.listed) for found in shown):
        return 0
    still = {finding.where for found in shown for finding in found.listed}
    closed = 0
    open_rows = ReconciliationBreak.objects.filter(state=ReconciliationBreak.State.OPEN)
    for row in open_rows.filter(what__in=list(whats)).order_by("id"):
        balanced_by = "" if row.where in still else what_balances(row)
        if not balanced_by:
            continue
        try:
            with state_history.moving(row, at=now, by=BY, why=balanced_by):
                row.close(by=balanced_by, at=now)
        except MovedMeanwhile:
            continue  # the next run sees it as it is then
        log.info("reconciliation break closed", what=row.what, where=row.where, by=balanced_by)
        closed += 1
    return closed


def own(rows: Iterable[ReconciliationBreak], *, owner_id: int, owner: str, now: datetime) -> int:
    """Make a person the owner of open breaks; how many. What to do about them is in the guide."""
    ids = [row.pk for row in rows]
    return ReconciliationBreak.objects.filter(pk__in=ids, state=ReconciliationBreak.State.OPEN).update(
        owner_id=owner_id, owner=owner, owned_since=now
    )
