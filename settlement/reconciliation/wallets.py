"""The venue's wallets held against the desk's book, asset by asset (part of the audit's invariant 5).

    balance at the venue = account in the book + trades that are not booked yet + transfers that are not booked yet

Holds to the last digit whenever the venue's view is quiet, also while conversions are under way.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from infra.db.snapshots import Snapshot
from settlement.book.chart import INVENTORY, SUSPENSE, VENUE
from settlement.reconciliation.findings import Finding, Result, Trace
from settlement.reconciliation.trades import Unbooked, effect_of
from settlement.reconciliation.venue_view import VenueView
from settlement.venues.protocol import TransferReport, Wallet

ACCOUNTS: dict[Wallet, str] = {"trading": VENUE, "reserve": INVENTORY}
WALLET_OF = {account: wallet for wallet, account in ACCOUNTS.items()}
NOT_THE_BOOK = "wallet is not what the book says"
NEVER_ASKED = "wallet transfer that the desk never asked for"

BOOKED = """
    SELECT a.code, a.asset, sum(CASE t.debit_account_id WHEN a.id THEN t.amount ELSE -t.amount END)
    FROM settlement_deskaccount AS a
    JOIN settlement_desktransfer AS t ON a.id IN (t.debit_account_id, t.credit_account_id)
    WHERE a.code = ANY(%s) GROUP BY 1, 2
"""
OPENED = "SELECT EXISTS (SELECT 1 FROM settlement_desktransfer)"
OPEN_TRANSFERS = """
    SELECT id, asset, direction, amount, submitted_at FROM settlement_fundstransfer
    WHERE state NOT IN ('CONFIRMED', 'RELEASED', 'WRITTEN_OFF')
"""
KNOWN = """
    SELECT venue_transfer_id FROM settlement_fundstransfer WHERE state = 'CONFIRMED' AND confirmed_at >= %s
    UNION ALL
    SELECT venue_transfer_id FROM settlement_reconciliationbreak
    WHERE written_off_at IS NOT NULL AND venue_transfer_id <> '' AND since >= %s
"""
# A confirmed transfer has one leg between the two wallets, one that was written off one from where it left into
# suspense, any other none.
LEGS = """
    WITH legs AS (
        SELECT t.funds_transfer_id AS id, count(*) AS legs, sum(t.amount) AS amount, min(d.code) AS to_code,
               min(c.code) AS from_code, min(t.asset) AS asset
        FROM settlement_desktransfer AS t
        JOIN settlement_deskaccount AS d ON d.id = t.debit_account_id
        JOIN settlement_deskaccount AS c ON c.id = t.credit_account_id
        WHERE t.funds_transfer_id IS NOT NULL GROUP BY 1
    )
    SELECT COALESCE(f.id, l.id), f.state, f.amount, f.asset, f.direction, COALESCE(l.legs, 0), l.amount,
           count(*) OVER ()
    FROM settlement_fundstransfer AS f FULL JOIN legs AS l ON l.id = f.id
    WHERE CASE f.state
        WHEN 'CONFIRMED' THEN l.legs = 1 AND l.amount = f.amount AND l.asset = f.asset
            AND l.to_code = CASE f.direction WHEN 'to_trading' THEN %(trading)s ELSE %(reserve)s END
            AND l.from_code = CASE f.direction WHEN 'to_trading' THEN %(reserve)s ELSE %(trading)s END
        WHEN 'WRITTEN_OFF' THEN l.legs = 1 AND l.amount = f.amount AND l.asset = f.asset
            AND l.to_code = %(suspense)s
            AND l.from_code = CASE f.direction WHEN 'to_trading' THEN %(reserve)s ELSE %(trading)s END
        ELSE f.id IS NOT NULL AND l.id IS NULL
    END IS NOT TRUE
    ORDER BY 1 LIMIT 50
"""


@dataclass(slots=True)
class DeskWallets:
    """What the desk's snapshot says of the wallets: accounts, transfers open (asset, direction, amount) and booked."""

    at: datetime
    now: datetime
    tolerance: timedelta
    opened: bool
    booked: dict[tuple[Wallet, str], Decimal]
    open_transfers: set[tuple[str, str, Decimal]]
    booked_transfers: set[str]
    transfers_since: datetime


def judge_legs(desk: Snapshot, result: Result) -> None:
    """Every funds transfer of the desk has the one leg of its state. Reads all there are."""
    rows = desk.rows(LEGS, {"trading": VENUE, "reserve": INVENTORY, "suspense": SUSPENSE})
    result.broken.extend_from(rows, _wrong_legs)


def all_booked(desk: Snapshot) -> dict[tuple[Wallet, str], Decimal]:
    """What the book says of every wallet and asset, from all its legs."""
    rows = desk.rows(BOOKED, [list(ACCOUNTS.values())])
    return {(WALLET_OF[code], asset): amount for code, asset, amount in rows}


def oldest_open_transfer(desk: Snapshot) -> datetime:
    """When the oldest transfer was sent that may still be under way; the snapshot's moment when none is."""
    return min((row[4] for row in desk.rows(OPEN_TRANSFERS) if row[4]), default=desk.at)


def read_wallets(
    desk: Snapshot,
    *,
    booked: dict[tuple[Wallet, str], Decimal],
    transfers_since: datetime,
    now: datetime,
    tolerance: timedelta,
) -> DeskWallets:
    """The desk's side, from its snapshot, which holds `booked` as well."""
    open_rows = desk.rows(OPEN_TRANSFERS)
    known = desk.rows(KNOWN, [transfers_since - tolerance, transfers_since - tolerance])
    return DeskWallets(
        at=desk.at,
        now=now,
        tolerance=tolerance,
        opened=desk.row(OPENED)[0],
        booked=booked,
        open_transfers={(asset, direction, amount) for _, asset, direction, amount, _ in open_rows},
        booked_transfers={row[0] for row in known},
        transfers_since=transfers_since,
    )


def compare_wallets(desk: DeskWallets, view: VenueView, unbooked: Iterable[Unbooked], result: Result) -> None:
    """Hold each wallet's balance of each asset against the book."""
    if not desk.opened:
        result.in_flight.add(Finding("books are not opened", "wallets", "the desk has booked nothing yet"))
        return
    expected = defaultdict(Decimal, desk.booked)
    for item in unbooked:
        _apply_trade(item, expected)
    for transfer in view.transfers.values():
        if transfer.venue_transfer_id not in desk.booked_transfers:
            _apply_transfer(transfer, expected)
            _judge_transfer(transfer, desk, result)
    for wallet, asset in sorted(expected.keys() | view.balances.keys()):
        held = view.balances.get((wallet, asset), Decimal(0))
        if held == expected[wallet, asset]:
            continue
        detail = f"the venue holds {held}, the book says {expected[wallet, asset]}"
        where = f"{wallet} wallet {asset}"
        if view.quiet:
            surplus = held - expected[wallet, asset]
            effect = ((ACCOUNTS[wallet], asset, surplus),)
            trace = Trace(asset=asset, amount=surplus, account=ACCOUNTS[wallet], effect=effect)
            result.broken.add(Finding(NOT_THE_BOOK, where, detail, trace=trace))
        else:
            result.in_flight.add(Finding("wallet is moving", where, detail, age_s=0.0))
    result.checked += len(expected)


def _apply_trade(item: Unbooked, expected: dict[tuple[Wallet, str], Decimal]) -> None:
    for _, asset, amount in effect_of(item.coin, item.trade):
        expected["trading", asset] += amount


def _apply_transfer(transfer: TransferReport, expected: dict[tuple[Wallet, str], Decimal]) -> None:
    sign = 1 if transfer.direction == "to_trading" else -1
    expected["trading", transfer.asset] += sign * transfer.amount
    expected["reserve", transfer.asset] -= sign * transfer.amount


def _judge_transfer(transfer: TransferReport, desk: DeskWallets, result: Result) -> None:
    where = f"wallet transfer {transfer.venue_transfer_id}"
    detail = f"{transfer.amount} {transfer.asset} {transfer.direction}"
    is_asked_for = (transfer.asset, transfer.direction, transfer.amount) in desk.open_transfers
    if is_asked_for or transfer.at >= desk.at - desk.tolerance:
        age_s = max(0.0, (desk.now - transfer.at).total_seconds())
        result.in_flight.add(Finding("wallet transfer is not booked yet", where, detail, age_s))
    else:
        into_trading = transfer.amount if transfer.direction == "to_trading" else -transfer.amount
        trace = Trace(
            asset=transfer.asset,
            amount=into_trading,
            venue_transfer_id=transfer.venue_transfer_id,
            since=transfer.at,
            effect=((VENUE, transfer.asset, into_trading), (INVENTORY, transfer.asset, -into_trading)),
        )
        result.broken.add(Finding(NEVER_ASKED, where, detail, trace=trace))


def _wrong_legs(
    transfer_id: int,
    state: str | None,
    amount: Decimal,
    asset: str,
    direction: str,
    legs: int,
    booked: Decimal,
) -> Finding:
    detail = f"{state or 'not there'}, {amount} {asset} {direction}; {legs} legs of {booked} in all"
    return Finding("funds transfer is not booked as it was made", f"funds transfer {transfer_id}", detail)
