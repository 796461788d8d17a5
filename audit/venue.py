"""Invariant 5: at most one venue order for each conversion, and the venue's own trades and wallets are the desk's.

The desk's snapshot is taken first and closed before the venue is asked. So every booked fill has to be among the trades
that the venue then shows, and a trade that the desk does not know is either younger than that snapshot, or of an order
whose conversion is still open, or nobody's: a surplus is as broken as a shortage.
"""

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings

from audit.findings import Finding, Result
from audit.reading import Reading
from settlement.reconciliation.trades import DeskTrades, compare_trades, read_trades
from settlement.reconciliation.venue_view import look
from settlement.reconciliation.wallets import (
    DeskWallets,
    all_booked,
    compare_wallets,
    judge_legs,
    oldest_open_transfer,
    read_wallets,
)
from settlement.venues.protocol import Venue, VenueError

FIRST_CONVERSION = "SELECT min(planned_at) FROM settlement_conversion"
# A conversion is sent again only once the venue has certainly not executed it, so all its sends but the last say so.
SENT_TWICE = """
    SELECT subject_id, outcome, count(*) OVER () FROM (
        SELECT subject_id, outcome, lead(id) OVER (PARTITION BY subject_id ORDER BY id) AS next_id
        FROM settlement_attempt WHERE subject = 'conversion' AND call = 'submit'
    ) AS sends WHERE next_id IS NOT NULL AND outcome <> 'not_done' ORDER BY subject_id LIMIT 50
"""


def venue_and_desk(reading: Reading, result: Result) -> Callable[[Venue | None], None]:
    """5: reads the desk's side; what it returns asks the venue and compares, once the snapshots are closed."""
    result.broken.extend_from(reading.desk.rows(SENT_TWICE), _sent_twice)
    judge_legs(reading.desk, result)
    trades, wallets = _trades(reading), _wallets(reading)

    def ask(venue: Venue | None) -> None:
        if venue is None:
            result.unchecked = "the venue was not asked"
            return
        try:
            view = look(venue, trades_since=trades.since, transfers_since=wallets.transfers_since)
            unbooked = compare_trades(trades, view, venue, result)
        except VenueError as error:
            result.unchecked = f"the venue did not answer: {error}"
            return
        compare_wallets(wallets, view, unbooked, result)

    return ask


def _trades(reading: Reading) -> DeskTrades:
    """Everything since the desk's first conversion, at most AUDIT_VENUE_TRADES_DAYS."""
    now, tolerance = reading.now, reading.tolerance
    (first,) = reading.desk.row(FIRST_CONVERSION)
    since = max((first or now) - tolerance, now - timedelta(days=settings.AUDIT_VENUE_TRADES_DAYS))
    return read_trades(reading.desk, since=since, now=now, tolerance=tolerance)


def _wallets(reading: Reading) -> DeskWallets:
    desk, tolerance = reading.desk, reading.tolerance
    earliest = desk.at - timedelta(days=settings.AUDIT_VENUE_TRADES_DAYS)
    return read_wallets(
        desk,
        booked=all_booked(desk),
        transfers_since=max(oldest_open_transfer(desk), earliest) - tolerance,
        now=reading.now,
        tolerance=tolerance,
    )


def _sent_twice(conversion_id: int, outcome: str) -> Finding:
    detail = f"sent again after {outcome or 'no word'}"
    return Finding("order may have been sent twice", f"conversion {conversion_id}", detail)
