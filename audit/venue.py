"""Invariant 5: at most one venue order for each conversion, and the venue's own trades and wallets are the desk's.

The desk's snapshot is taken first and closed before the venue is asked. So every booked fill has to be among the trades
that the venue then shows, and a trade that the desk does not know is either younger than that snapshot, or of an order
whose conversion is still open, or nobody's: a surplus is as broken as a shortage.
"""

from collections.abc import Callable

from audit.findings import Finding, Result
from audit.reading import Reading
from audit.trades import compare_trades, read_trades
from audit.venue_view import look
from audit.wallets import compare_wallets, read_wallets
from settlement.venues.protocol import Venue, VenueError

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
    trades, wallets = read_trades(reading), read_wallets(reading, result)

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


def _sent_twice(conversion_id: int, outcome: str) -> Finding:
    detail = f"sent again after {outcome or 'no word'}"
    return Finding("order may have been sent twice", f"conversion {conversion_id}", detail)
