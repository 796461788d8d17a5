"""Taking the desk's settlement reports, each exactly once; a payout chosen at fill is deposited with its report."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import structlog
from django.db import DatabaseError, connection, transaction

from counter import events
from counter.contracts import SettlementAnswer, SettlementReport
from counter.models import Position, SyncOrder
from counter.money.chart import SystemAccount
from counter.orders import sql as order_sql
from counter.orders import writing
from counter.orders.rows import AccountRow, PositionRow, TransferRow
from infra.db.arrays import array, columns
from infra.db.composing import answered, together
from infra.db.lifecycles import moves
from infra.db.rows import reader
from infra.db.transient_errors import LOCK_NOT_AVAILABLE, sqlstate
from infra.db.transitions import move, moving
from infra.observability import correlation

log = structlog.get_logger(__name__)

PAID_AT_FILL = """
    SELECT DISTINCT customer_id FROM counter_syncorder WHERE id = ANY(%s::bigint[]) AND payout = 'at_fill'
"""
# Locked in the order of their ids: of two reports at once the later one sees the earlier.
REPORTED_ORDERS = """
    SELECT id, customer_id, position_id, payout, fair, amount, state, synced_at, underlying, placed_at
    FROM counter_syncorder WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE"""
# Somebody at a console may hold one order or account: it is waited for no longer than this, and then passed by.
LOCK_WITHIN = "SET LOCAL lock_timeout = '500ms'"
EXISTING = "SELECT id FROM counter_syncorder WHERE id = ANY(%s::bigint[])"
TAKEN = """
    SELECT id, conversion_id, settlement_price, settlement_value, settlement_fee, settlement_due, settled_at
    FROM counter_syncorder WHERE id = ANY(%s::bigint[])
"""

# What the desk's pace is measured by (counter/trading/desk_load.py). A moment that lies ahead was a wrong clock's.
PROGRESS = """
    INSERT INTO counter_deskprogress AS p (underlying, settled, newest_at)
    SELECT underlying, count(*), max(placed_at)
    FROM unnest(%s::varchar[], %s::timestamptz[]) AS v(underlying, placed_at)
    WHERE placed_at <= %s GROUP BY underlying ORDER BY underlying
    ON CONFLICT (underlying) DO UPDATE SET settled = p.settled + EXCLUDED.settled,
        newest_at = CASE WHEN p.newest_at > %s THEN EXCLUDED.newest_at
                         ELSE greatest(p.newest_at, EXCLUDED.newest_at) END
"""


class _Stored(NamedTuple):
    """A reported order as it stands, locked."""

    id: int
    customer_id: int
    position_id: int
    payout: str
    fair: Decimal
    amount: Decimal
    state: str
    synced_at: datetime | None
    underlying: str
    placed_at: datetime


def take_reports(*, reports: Sequence[SettlementReport], now: datetime) -> SettlementAnswer:
    """Store settlements and credit at-fill payouts, in one transaction.

    A report taken before is taken again without effect. Refused, without effect: one that contradicts what was taken
    before or another one of `reports`, whose order is not here, or whose due differs from the firm price that an
    instant order was given. Held, without effect: one whose order or account somebody else keeps locked.
    """
    try:
        return _take(reports, now, skip_locked=False)
    except DatabaseError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
    return _take(reports, now, skip_locked=True)


def _take(reports: Sequence[SettlementReport], now: datetime, *, skip_locked: bool) -> SettlementAnswer:
    by_id = {report.order_id: report for report in reports}
    contradicting = {report.order_id for report in reports if report != by_id[report.order_id]}
    ids = array([order_id for order_id in by_id if order_id not in contradicting])
    with transaction.atomic():
        if not skip_locked:
            with connection.cursor() as cursor:
                cursor.execute(LOCK_WITHIN)
        # Customers' accounts are locked before their orders: placing orders takes the same locks first.
        customers = [customer for (customer,) in _rows(PAID_AT_FILL, ids)]
        accounts = order_sql.lock_accounts(customers, skip_locked=skip_locked)
        out_of_reach = set(customers) - accounts.keys()
        stored = [
            order
            for order in _reported(ids, skip_locked=skip_locked)
            if order.payout != SyncOrder.Payout.AT_FILL or order.customer_id not in out_of_reach
        ]
        held = {order_id for (order_id,) in _rows(EXISTING, ids)} if skip_locked else set()
        held -= {order.id for order in stored}
        fresh = [
            (by_id[order.id], order)
            for order in stored
            if order.state != SyncOrder.State.SETTLED and _fits(by_id[order.id], order)
        ]
        _settle(fresh, now)
        payouts = [(report, order) for report, order in fresh if order.payout == SyncOrder.Payout.AT_FILL]
        if payouts:
            _pay(payouts, accounts, now)
        _progress([order for _, order in fresh], now)
        taken = {order.id for _, order in fresh}
        taken |= _taken_before(
            [order.id for order in stored if order.state == SyncOrder.State.SETTLED], by_id
        )
    log.info(
        "settlements taken",
        orders=correlation.runs(taken),
        conversion=correlation.runs(by_id[order_id].conversion_id for order_id in taken),
    )
    if held:
        log.warning("settlements wait for locked orders or accounts", orders=correlation.runs(held))
    return SettlementAnswer(
        taken=sorted(taken), refused=sorted(by_id.keys() - taken - held), held=sorted(held)
    )


def _reported(ids: str, *, skip_locked: bool) -> list[_Stored]:
    sql = REPORTED_ORDERS + " SKIP LOCKED" if skip_locked else REPORTED_ORDERS
    return [_Stored(*row) for row in _rows(sql, ids)]


def _rows(sql: str, ids: str) -> list[tuple[Any, ...]]:
    with reader("default") as cursor:
        cursor.execute(sql, [ids])
        return cursor.fetchall()


def _fits(report: SettlementReport, order: _Stored) -> bool:
    if order.payout == SyncOrder.Payout.INSTANT:
        return report.due == order.fair
    return report.due >= 0


def _taken_before(ids: Sequence[int], reports: Mapping[int, SettlementReport]) -> set[int]:
    """Which of these settled orders were settled as reported now."""
    if not ids:
        return set()
    return {row[0] for row in _rows(TAKEN, array(ids)) if SettlementReport(*row) == reports[row[0]]}


@moves(SyncOrder.settle)
def _settle(fresh: Sequence[tuple[SettlementReport, _Stored]], now: datetime) -> None:
    moved = moving(
        SyncOrder,
        SyncOrder.settle,
        [order.id for _, order in fresh],
        each={
            "conversion_id": [report.conversion_id for report, _ in fresh],
            "settlement_price": [report.price for report, _ in fresh],
            "settlement_value": [report.value for report, _ in fresh],
            "settlement_fee": [report.fee for report, _ in fresh],
            "settlement_due": [report.due for report, _ in fresh],
            "settled_at": [report.settled_at for report, _ in fresh],
            # A settled order was certainly received, even if nothing acknowledged it.
            "synced_at": [order.synced_at or now for _, order in fresh],
            "amount": [
                report.due if order.payout == SyncOrder.Payout.AT_FILL else order.amount
                for report, order in fresh
            ],
        },
        returning=["id", "customer_id", "payout", "amount"],
    )
    if moved:
        told = events.telling(
            {events.ORDER_SETTLED: "moved", events.PAYOUT_CREDITED: f"moved WHERE {events.PAID_AT_FILL}"}, now
        )
        answered("default", together({"moved": moved, "told": [told]}, "SELECT count(*) FROM moved"))


def _progress(settled: Sequence[_Stored], now: datetime) -> None:
    """Count them, by coin; last of all that is locked, for the reports of a coin share one row."""
    if not settled:
        return
    with connection.cursor() as cursor:
        cursor.execute(PROGRESS, [*columns(settled, ["underlying", "placed_at"]), now, now])


@moves(Position.close, Position.State.CLOSING)
def _pay(
    payouts: Sequence[tuple[SettlementReport, _Stored]],
    accounts: dict[int, AccountRow],
    now: datetime,
) -> None:
    """Deposit what the fills were worth and finish the positions that waited for it."""
    positions = order_sql.positions({order.position_id for _, order in payouts})
    transfers: list[TransferRow] = []
    for report, order in payouts:
        account, position = accounts[order.customer_id], positions[order.position_id]
        account.balance += report.due
        account.changed = position.changed = True
        position.unpaid -= 1
        position.proceeds += report.due
        if report.due > 0:
            transfers.append(
                TransferRow(
                    SystemAccount.CLEARING, account.id, report.due, "payout", order.id, account.balance
                )
            )
    writing.write(
        accounts=accounts.values(), orders=[], positions=positions.values(), transfers=transfers, now=now
    )
    move(Position, Position.close, _paid_up(positions.values()), same={"closed_at": now})


def _paid_up(positions: Iterable[PositionRow]) -> list[int]:
    return [position.id for position in positions if position.remaining == 0 and position.unpaid == 0]
