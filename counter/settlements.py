"""Taking the desk's settlement reports, each exactly once; a payout chosen at fill is deposited with its report."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from config.transitions import move
from counter import order_sql
from counter.chart import SystemAccount
from counter.contracts import SettlementAnswer, SettlementReport
from counter.models import Position, SyncOrder
from counter.order_sql import PositionRow, TransferRow

REPORT_COLUMNS = {
    "conversion_id": "conversion_id",
    "settlement_price": "price",
    "settlement_value": "value",
    "settlement_fee": "fee",
    "settlement_due": "due",
    "settled_at": "settled_at",
}
PAY = """
    UPDATE counter_syncorder AS o SET amount = v.amount
    FROM unnest(%s::bigint[], %s::numeric[]) AS v(id, amount) WHERE o.id = v.id
"""


def take_reports(*, reports: Sequence[SettlementReport], now: datetime) -> SettlementAnswer:
    """Store settlements and pay what was to be paid at fill, in one transaction.

    A report taken before is taken again without effect. Refused, without effect: one that contradicts what was taken
    before or another one of `reports`, whose order is not here, or whose due differs from the firm price that an
    instant order was given.
    """
    asked = {report.order_id for report in reports}
    different = dict.fromkeys(reports)
    counts = Counter(report.order_id for report in different)
    by_id = {report.order_id: report for report in different if counts[report.order_id] == 1}
    with transaction.atomic():
        # Customers' accounts are locked before their orders are read: placing orders takes the same locks first.
        at_fill = SyncOrder.objects.filter(pk__in=by_id, payout=SyncOrder.Payout.AT_FILL)
        accounts = order_sql.lock_accounts(at_fill.values_list("customer_id", flat=True).distinct())
        # The orders are locked too, in the order of their ids: of two reports at once the later one sees the earlier.
        orders = SyncOrder.objects.filter(pk__in=by_id).order_by("pk").select_for_update()
        columns = ("id", "customer_id", "position_id", "payout", "fair", "state", *REPORT_COLUMNS)
        stored = {row["id"]: row for row in orders.values(*columns)}
        agreed = [report for report in by_id.values() if _agrees(report, stored.get(report.order_id))]
        fresh = [report for report in agreed if stored[report.order_id]["state"] != SyncOrder.State.SETTLED]
        _settle(fresh, now)
        payouts = [
            (report, stored[report.order_id])
            for report in fresh
            if stored[report.order_id]["payout"] == SyncOrder.Payout.AT_FILL
        ]
        if payouts:
            _pay(payouts, accounts, now)
    taken = {report.order_id for report in agreed}
    return SettlementAnswer(taken=sorted(taken), refused=sorted(asked - taken))


def _agrees(report: SettlementReport, order: Mapping[str, Any] | None) -> bool:
    if order is None or report.due < 0:
        return False
    if order["payout"] == SyncOrder.Payout.INSTANT and report.due != order["fair"]:
        return False
    if order["state"] != SyncOrder.State.SETTLED:
        return True
    return all(order[column] == getattr(report, name) for column, name in REPORT_COLUMNS.items())


def _settle(reports: Sequence[SettlementReport], now: datetime) -> None:
    ids = [report.order_id for report in reports]
    # A settled order was certainly received, even if its acknowledgement got lost.
    move(SyncOrder, SyncOrder.sync, ids, same={"synced_at": now})
    columns = {
        column: [getattr(report, name) for report in reports] for column, name in REPORT_COLUMNS.items()
    }
    move(SyncOrder, SyncOrder.settle, ids, each=columns)


def _pay(
    payouts: Sequence[tuple[SettlementReport, Mapping[str, Any]]],
    accounts: dict[int, order_sql.AccountRow],
    now: datetime,
) -> None:
    """Deposit what the fills were worth and finish the positions that waited for it."""
    positions = order_sql.positions({order["position_id"] for _, order in payouts})
    transfers: list[TransferRow] = []
    for report, order in payouts:
        account, position = accounts[order["customer_id"]], positions[order["position_id"]]
        account.balance += report.due
        account.changed = position.changed = True
        position.unpaid -= 1
        position.proceeds += report.due
        if report.due > 0:
            transfers.append(
                TransferRow(
                    SystemAccount.CLEARING, account.id, report.due, "payout", order["id"], account.balance
                )
            )
    order_sql.write(
        accounts=accounts.values(), orders=[], positions=positions.values(), transfers=transfers, now=now
    )
    with connection.cursor() as cursor:
        cursor.execute(
            PAY, [[report.order_id for report, _ in payouts], [report.due for report, _ in payouts]]
        )
    move(Position, Position.close, _paid_up(positions.values()), same={"closed_at": now})


def _paid_up(positions: Iterable[PositionRow]) -> list[int]:
    return [position.id for position in positions if position.remaining == 0 and position.unpaid == 0]
