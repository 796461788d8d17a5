"""One run: look, look again at what seems broken, keep what is, close what is balanced, and move the watermarks.

Guards: nothing becomes a break that was seen only once, and no watermark passes what is open or under way.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain

import structlog
from django.conf import settings
from django.db.models import Min

from acceptance.counter_client import CounterError
from infra.coordination.ages import AHEAD_TOLERANCE
from infra.db.snapshots import Snapshot, snapshot
from ledger.decimals import calculating
from settlement.models import ReconciliationBreak, ReconciliationRun
from settlement.reconciliation import closing
from settlement.reconciliation.book import compare_mirror
from settlement.reconciliation.breaks import close_balanced, keep
from settlement.reconciliation.clearing import compare_clearing
from settlement.reconciliation.findings import Result
from settlement.reconciliation.trades import compare_trades, last_conversion_before, read_trades
from settlement.reconciliation.venue_view import look
from settlement.reconciliation.wallets import (
    ACCOUNTS,
    WALLET_OF,
    compare_wallets,
    oldest_open_transfer,
    read_wallets,
)
from settlement.venues import halts
from settlement.venues.protocol import Venue, VenueError, Wallet

log = structlog.get_logger(__name__)

# A leg's id is taken before its commit: balances are carried only up to legs that are certainly all there.
LEGS_SETTLED_AFTER = timedelta(minutes=5)
# What the venue and counter have above such a book is what it is about to enter again, and must not be booked twice.
HELD = "the desk was restored and waits for manage.py after_restore"
FIRST_CONVERSION = "SELECT planned_at FROM settlement_conversion ORDER BY id LIMIT 1"
OLDEST_OPEN = f"""
    SELECT min(planned_at) FROM settlement_conversion
    WHERE state NOT IN ({", ".join(f"'{state}'" for state in ("BOOKED", "MISSED", "RELEASED"))})
"""  # noqa: S608 - our own text
LAST_SETTLED_LEG = """
    SELECT max(id) FROM (
        SELECT id FROM settlement_desktransfer WHERE created_at < %s AND id >= %s ORDER BY id DESC LIMIT 1
    ) AS last
"""
MOVED = """
    SELECT a.code, a.asset, sum(m.amount), COALESCE(sum(m.amount) FILTER (WHERE m.id <= %(until)s), 0)
    FROM (
        SELECT id, debit_account_id AS account_id, amount FROM settlement_desktransfer WHERE id > %(after)s
        UNION ALL
        SELECT id, credit_account_id, -amount FROM settlement_desktransfer WHERE id > %(after)s
    ) AS m JOIN settlement_deskaccount AS a ON a.id = m.account_id
    WHERE a.code = ANY(%(codes)s) GROUP BY 1, 2
"""

OPEN_VERSIONS = "SELECT id, version FROM settlement_reconciliationbreak WHERE state = 'OPEN'"

Balances = dict[tuple[Wallet, str], Decimal]


@dataclass(slots=True)
class Look:
    """What one look has compared, and how far watermarks may go if nothing of it is broken."""

    since: datetime  # of the venue's trades and transfers that were read
    trades_until: datetime
    orders_until: int = 0
    legs_until: int = 0
    balances: Balances = field(default_factory=dict)
    venue: Result = field(default_factory=lambda: Result(1, "venue"))
    book: Result = field(default_factory=lambda: Result(2, "book"))
    clearing: Result = field(default_factory=lambda: Result(3, "clearing"))
    versions: dict[int, int] = field(
        default_factory=dict
    )  # of the open breaks, as the look's snapshot has them

    @property
    def results(self) -> tuple[Result, Result, Result]:
        """All three comparisons."""
        return self.venue, self.book, self.clearing


@calculating()
def reconcile(*, venue: Venue, clock: Callable[[], datetime], by: str) -> ReconciliationRun:
    """Compare what has happened since the watermarks; the run as it is stored. Only one at a time: doors see to that.

    What cannot be asked is said in `unchecked`, and its watermark and breaks stay as they are.
    """
    began, started = clock(), time.monotonic()
    # A watermark of the future would have what happens until then never looked at.
    before = (
        ReconciliationRun.objects.filter(trades_until__lte=began + AHEAD_TOLERANCE).order_by("-id").first()
    )
    found = _look(before, venue, began)
    broken = [result.broken for result in found.results]
    if any(each.total for each in broken):
        time.sleep(settings.AUDIT_RECHECK_AFTER_SECONDS)
        found = _look(before, venue, clock())
        looks = zip(found.results, broken, strict=True)
        broken = [result.broken.also_in(earlier) for result, earlier in looks]
    now = clock()
    kept = keep(chain.from_iterable(each.listed for each in broken), versions=found.versions, now=now)
    # By all that the last look shows: what only that one shows is no break yet, but nothing that has balanced either.
    closed = sum(
        close_balanced(result, whats=whats, now=now)
        for result, whats in (
            (found.venue, closing.VENUE_KINDS),
            (found.book, closing.BOOK_KINDS),
            (found.clearing, closing.CLEARING_KINDS),
        )
    )
    run = _run(before, found)
    run.at, run.by, run.found, run.closed = began, by, kept, closed
    run.seconds = Decimal(round(time.monotonic() - started, 3))
    run.save(force_insert=True)
    log.info("reconciled", run=run.pk, found=kept, closed=closed, open=run.open, unchecked=run.unchecked)
    return run


def _look(before: ReconciliationRun | None, venue: Venue, now: datetime) -> Look:
    with snapshot("desk") as desk:
        found = Look(since=_since(desk, before, now), trades_until=_oldest_open(desk))
        found.versions = dict(desk.rows(OPEN_VERSIONS))
        found.orders_until, legs_after = (before.orders_until, before.legs_until) if before else (0, 0)
        compare_mirror(desk, after_leg=legs_after, result=found.book)
        booked = _carry_balances(desk, before, found, now)
        trades = read_trades(
            desk,
            since=found.since,
            now=now,
            tolerance=_tolerance(),
            after_conversion=last_conversion_before(desk, found.since - _tolerance()),
        )
        wallets = read_wallets(
            desk, booked=booked, transfers_since=found.since, now=now, tolerance=_tolerance()
        )
    if halts.is_held(venue.name):
        found.venue.unchecked = found.clearing.unchecked = HELD
        return found
    try:
        view = look(venue, trades_since=found.since, transfers_since=found.since)
        compare_wallets(wallets, view, compare_trades(trades, view, venue, found.venue), found.venue)
    except VenueError as error:
        found.venue.unchecked = f"the venue did not answer: {error}"
    try:
        found.orders_until = compare_clearing(after_id=found.orders_until, now=now, result=found.clearing)
    except CounterError as error:
        found.clearing.unchecked = f"counter did not answer: {error}"
    return found


def _tolerance() -> timedelta:
    return timedelta(seconds=settings.AUDIT_CLOCK_TOLERANCE_SECONDS)


def _overlap() -> timedelta:
    return timedelta(seconds=settings.RECONCILE_OVERLAP_SECONDS)


def _since(desk: Snapshot, before: ReconciliationRun | None, now: datetime) -> datetime:
    """From when on the venue is read: a little before the watermark; at first, as far back as the audit looks."""
    if before is not None:
        return before.trades_until - _overlap()
    first = desk.rows(FIRST_CONVERSION)
    earliest = now - timedelta(days=settings.AUDIT_VENUE_TRADES_DAYS)
    return max(first[0][0] if first else now, earliest) - _tolerance()


def _oldest_open(desk: Snapshot) -> datetime:
    """No trade and no transfer of the desk's from before this moment is still to come."""
    (planned_at,) = desk.row(OLDEST_OPEN)
    return (
        min(moment for moment in (desk.at, planned_at, oldest_open_transfer(desk)) if moment) - _tolerance()
    )


def _carry_balances(desk: Snapshot, before: ReconciliationRun | None, found: Look, now: datetime) -> Balances:
    """What the book says of the wallets: as carried from the last run, and every leg since. Moves `found` on."""
    carried = before.balances if before else {}
    after = before.legs_until if before else 0
    (until,) = desk.row(LAST_SETTLED_LEG, [now - LEGS_SETTLED_AFTER, after])
    found.legs_until = until or after
    booked = {
        (WALLET_OF[code], asset): Decimal(amount)
        for code, assets in carried.items()
        for asset, amount in assets.items()
    }
    found.balances = dict(booked)
    asked = {"after": after, "until": found.legs_until, "codes": list(WALLET_OF)}
    for code, asset, moved, settled in desk.rows(MOVED, asked):
        key = WALLET_OF[code], asset
        known = booked.get(key, Decimal(0))
        booked[key], found.balances[key] = known + moved, known + settled
    return booked


def _run(before: ReconciliationRun | None, found: Look) -> ReconciliationRun:
    """The run with its watermarks: each as far as nothing before it is open, or where it was."""
    open_rows = ReconciliationBreak.objects.filter(state=ReconciliationBreak.State.OPEN)
    oldest = open_rows.filter(what__in=closing.VENUE_KINDS).aggregate(since=Min("since"))["since"]
    trades_until = before.trades_until if before else found.since
    if not found.venue.unchecked:
        trades_until = max(trades_until, min(found.trades_until, oldest or found.trades_until))
    legs_until, balances = found.legs_until, _as_json(found.balances)
    if found.book.broken.total:
        legs_until, balances = (before.legs_until, before.balances) if before else (0, {})
    return ReconciliationRun(
        trades_until=trades_until,
        orders_until=found.orders_until,
        legs_until=legs_until,
        balances=balances,
        checked=sum(result.checked for result in found.results),
        open=open_rows.count(),
        in_flight=sum(result.in_flight.total for result in found.results),
        unchecked="; ".join(dict.fromkeys(result.unchecked for result in found.results if result.unchecked)),
    )


def _as_json(balances: Balances) -> dict[str, dict[str, str]]:
    stored: dict[str, dict[str, str]] = {}
    for (wallet, asset), amount in sorted(balances.items()):
        stored.setdefault(ACCOUNTS[wallet], {})[asset] = str(amount)
    return stored
